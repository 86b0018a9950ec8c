-- A shopping cart: what anybody put in is in it, what anybody took out since the carts were last alike
-- stays out. Other columns are those of the newest write.
--
--   tables: {carts: {policy: handler, handler: cart_union, granularity: row}}
--
-- Needs a column `items`, a JSON array; NULL is an empty cart. A cart that somebody emptied by deleting
-- its row comes back with what others put in. (`merge: union` does this without a script, and knows
-- of each item who added it.) Try it:
--
--   entente handler check conf/handlers/cart_union.lua --columns items:array,note:text

function resolve(conflict)
  local base = conflict.base and conflict.base.items
  local items
  for _, sibling in ipairs(conflict.siblings) do
    if not sibling.deleted then
      -- What all so far made of the base, and what this one made of it.
      items = items and merge.set(base, items, sibling.row.items) or sibling.row.items
    end
  end
  return {row = {items = items}}
end
