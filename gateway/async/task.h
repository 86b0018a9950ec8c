#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace entente {

// Where coroutines live: one thread that runs them one after another.
class Loop {
 public:
  virtual ~Loop() = default;
  // From any thread: the coroutine goes on, later, on the loop's thread.
  virtual void resume(std::coroutine_handle<> coroutine) = 0;
};

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase {
  std::coroutine_handle<> waiting = std::noop_coroutine();
  std::exception_ptr thrown;

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) const noexcept {
      return ended.promise().waiting;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() { thrown = std::current_exception(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  void return_value(T v) { value.emplace(std::move(v)); }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

}  // namespace detail

// A coroutine that starts when it is awaited and goes back to whoever awaits it. It stays on its
// loop's thread: only awaiters (store_calls.h, socket_calls.h) leave it and come back.
//
// GCC 12 destroys temporaries of a co_await expression twice: name awaiters and lambdas on the line
// above.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().waiting = waiting;
    return handle_;
  }
  T await_resume() {
    if (handle_.promise().thrown) std::rethrow_exception(handle_.promise().thrown);
    return handle_.promise().take();
  }

 private:
  Handle handle_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}

inline Task<void> detail::TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

// A call that answers once through a callback, on whatever thread, as a thing to await.
template <class T>
class CallbackCall {
 public:
  using Done = std::function<void(T)>;

  CallbackCall(Loop& loop, std::function<void(Done)> start)
      : loop_(loop), start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start_([this, waiting](T value) {
      value_.emplace(std::move(value));
      loop_.resume(waiting);
    });
  }
  T await_resume() { return std::move(*value_); }

 private:
  Loop& loop_;
  std::function<void(Done)> start_;
  std::optional<T> value_;
};

// Every coroutine that nobody awaits belongs to a group, and the group is empty before what they
// use is destroyed. One thread.
class TaskGroup {
 public:
  explicit TaskGroup(std::function<void(std::exception_ptr)> on_throw)
      : on_throw_(std::move(on_throw)) {}

  void spawn(Task<void> task) {
    ++running_;
    run(std::move(task));
  }
  size_t running() const { return running_; }

 private:
  struct Root {
    struct promise_type {
      Root get_return_object() const { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const {}
      void unhandled_exception() const { std::terminate(); }
    };
  };
  Root run(Task<void> task) {
    try {
      co_await task;
    } catch (...) {
      on_throw_(std::current_exception());
    }
    --running_;
  }

  std::function<void(std::exception_ptr)> on_throw_;
  size_t running_ = 0;
};

}  // namespace entente
