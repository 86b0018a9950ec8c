-- A document that two people edited: both edits, line by line, as in version control. Where both changed
-- the same lines, both stand in the text between markers. Other columns are those of the newest write.
--
--   tables: {pages: {policy: handler, handler: text_merge, granularity: row}}
--
-- Needs a column `body` of text. An edit wins over a deletion that had not seen it. (`merge: text` does
-- this for one column without a script.) Try it:
--
--   entente handler check conf/handlers/text_merge.lua --columns body:text,title:text

function resolve(conflict)
  local base = conflict.base and conflict.base.body
  local body
  for _, sibling in ipairs(conflict.siblings) do
    if not sibling.deleted then
      body = body and merge.text(base, body, sibling.row.body, true) or sibling.row.body
    end
  end
  return {row = {body = body}}
end
