-- An auction's row: the highest bid wins. Of equal bids the first one made.
--
--   tables: {auctions: {policy: handler, handler: highest_bid, granularity: row}}
--
-- Needs a column `bid`. A deleted auction stays deleted. Try it:
--
--   entente handler check conf/handlers/highest_bid.lua --columns bid:integer,bidder:text

function resolve(conflict)
  local best
  for i, sibling in ipairs(conflict.siblings) do
    if sibling.deleted then return {delete = true} end
    local bid = sibling.row.bid
    if bid == nil then error("the table has no column bid") end
    if math.type(bid) and (best == nil or bid > conflict.siblings[best].row.bid) then best = i end
  end
  if best == nil then return {keep = true} end  -- no bid is a number: somebody must look
  return {pick = best}
end
