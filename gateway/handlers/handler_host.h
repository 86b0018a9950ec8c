#pragma once

namespace entente {

// The process of one isolated plug-in, `entente handler-host`: loads the shared object behind
// descriptor kHostPlugin, gives up everything but computing, and answers conflicts over kHostSocket
// until that is closed. Answers the exit code. Only IsolatedPlugin starts it.
int run_handler_host();

}  // namespace entente
