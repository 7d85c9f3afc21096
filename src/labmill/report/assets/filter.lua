-- Makes a document harmless and accessible: attributes and links are taken from short
-- lists, tables get scopes, headings never skip a level.
local kept = { alt = true, scope = true, width = true, role = true, ["aria-label"] = true }
local level = 1
local CROWDED = 8 -- columns

local function clean(attr)
  local attributes = {} -- as pairs: a table of names has another order in each run
  for key, value in pairs(attr.attributes) do
    if kept[key] then table.insert(attributes, { key, value }) end
  end
  return pandoc.Attr(attr.identifier, attr.classes, attributes)
end

local function cleaned(element)
  element.attr = clean(element.attr)
  return element
end

local function nothing() return {} end

local function scoped(cell, scope)
  cell.attr = pandoc.Attr("", {}, { scope = scope })
end

local function heading(header)
  level = math.min(header.level, level + 1)
  header.level = level
  return cleaned(header)
end

local function link(element)
  local target = element.target
  if target:match("^https?://") or target:match("^mailto:") or target:match("^#") then
    return cleaned(element)
  end
  return pandoc.Span(element.content)
end

-- Only the report's own figures: a report needs nothing from anywhere.
local function image(element)
  if element.src:match("^figures/[%w_-]+%.svg$") then return cleaned(element) end
  return pandoc.Span(element.caption)
end

local function table_(element)
  for _, row in ipairs(element.head.rows) do
    for _, cell in ipairs(row.cells) do scoped(cell, "col") end
  end
  for _, body in ipairs(element.bodies) do
    body.row_head_columns = 1
    for _, row in ipairs(body.body) do
      if row.cells[1] then scoped(row.cells[1], "row") end
    end
  end
  cleaned(element)
  if FORMAT ~= "typst" then return element end
  -- Typst shares a crowded page among columns by their longest lines: headings of several
  -- words would take the names' room.
  if #element.colspecs > CROWDED then
    local broken = { Space = function() return pandoc.LineBreak() end }
    for _, row in ipairs(element.head.rows) do
      for _, cell in ipairs(row.cells) do cell.contents = cell.contents:walk(broken) end
    end
  end
  local rows = 0
  for _, body in ipairs(element.bodies) do rows = rows + #body.body end
  if rows > 24 then return element end
  -- A table that fits a page is not torn apart.
  return { pandoc.RawBlock("typst", "#together["), element, pandoc.RawBlock("typst", "]") }
end

-- Typst knows no classes: a block of a known kind becomes a call of its function.
-- What leads to a figure, a table or lines of code stays on their page.
local function leading(blocks)
  if FORMAT ~= "typst" then return nil end
  local led = pandoc.Blocks({})
  for i, block in ipairs(blocks) do
    local after = blocks[i + 1]
    local leads = after and (after.t == "Figure" or after.t == "Table" or after.t == "CodeBlock")
    if block.t == "Para" and leads then
      led:insert(pandoc.RawBlock("typst", "#block(sticky: true)["))
      led:insert(block)
      led:insert(pandoc.RawBlock("typst", "]"))
    else
      led:insert(block)
    end
  end
  return led
end

local division
function division(div)
  -- A page has its contents beside the text, paper after the title.
  if div.classes:includes("contents") and #div.content == 0 then
    return FORMAT == "typst" and pandoc.RawBlock("typst", "#contents") or {}
  end
  -- Markdown made of Markdown stays as it is; a reader must see whose words these are.
  if div.classes:includes("words") and not FORMAT:match("^markdown") then
    local label = pandoc.Div(pandoc.Plain("In the author’s words"), pandoc.Attr("", { "whose" }))
    local blocks = pandoc.Blocks(division(label))
    blocks:extend(div.content)
    div.content = blocks
    local said = { { "role", "note" }, { "aria-label", "In the author’s words" } }
    div.attr = pandoc.Attr(div.identifier, div.classes, said)
  end
  if FORMAT == "typst" then
    for _, class in ipairs(div.classes) do
      if class == "screen" then return {} end
      if class == "banner" or class == "byline" or class == "bound" or class == "words" or class == "whose" then
        local blocks = pandoc.Blocks(pandoc.RawBlock("typst", "#" .. class .. "["))
        blocks:extend(div.content)
        blocks:insert(pandoc.RawBlock("typst", "]"))
        return blocks
      end
    end
  end
  return cleaned(div)
end

local function span(element)
  if FORMAT == "typst" and element.classes:includes("verdict") then
    local inlines = pandoc.Inlines(pandoc.RawInline("typst", "#verdict["))
    inlines:extend(element.content)
    inlines:insert(pandoc.RawInline("typst", "]"))
    return inlines
  end
  return cleaned(element)
end

return {
  { RawBlock = nothing, RawInline = nothing },
  { Blocks = leading },
  {
    traverse = "topdown",
    Header = heading,
  },
  {
    Link = link, Image = image, Table = table_, Div = division, Span = span,
    Code = cleaned, CodeBlock = cleaned, Figure = cleaned,
  },
}
