-- What everybody added to a number, added up: three datacenters that count 10 up to 11, 12 and 13 at
-- the same time mean 16. Other columns are those of the newest write.
--
--   tables: {visits: {policy: handler, handler: sum_of_three, granularity: row}}
--
-- Needs a column `amount` of whole numbers; NULL counts as 0. A deletion wins over what it had not
-- seen. Try it:  entente handler check conf/handlers/sum_of_three.lua --columns amount:integer,who:text

local function amount_of(row)
  local amount = row.amount
  if amount == null then return 0 end
  if math.type(amount) ~= "integer" then error("column amount is no whole number") end
  return amount
end

-- Lua's integers wrap around.
local function add(a, b)
  local sum = a + b
  if (b > 0 and sum < a) or (b < 0 and sum > a) then error("the sum has more than 64 bits") end
  return sum
end

function resolve(conflict)
  local base = conflict.base and amount_of(conflict.base) or 0
  local sum = base
  for _, sibling in ipairs(conflict.siblings) do
    if sibling.deleted then return {delete = true} end
    local amount = amount_of(sibling.row)
    if (base < 0 and amount > math.maxinteger + base) or (base > 0 and amount < math.mininteger + base) then
      error("the sum has more than 64 bits")
    end
    sum = add(sum, amount - base)
  end
  return {row = {amount = sum}}
end
