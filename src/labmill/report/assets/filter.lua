-- Makes a document harmless and accessible: attributes and links are taken from short
-- lists, tables get scopes, headings never skip a level.
local kept = { alt = true, scope = true, width = true, role = true, ["aria-label"] = true }
local level = 1
-- Kinds of figures' files: a page and paper take SVG, Word pictures, LaTeX PDF.
local PICTURES = { docx = "png", latex = "pdf" }
-- Blocks of the report, and Word's style of each.
local BLOCKS = {
  answer = "Answer", banner = "Banner", byline = "Byline", hero = "Body Text", numbers = "Compact",
  prompt = "Prompt", questions = "Body Text", whose = "Byline", words = "Words",
}
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
  if element.src:match("^figures/[%w_-]+%.svg$") then
    local kind = PICTURES[FORMAT]
    if kind then element.src = element.src:gsub("svg$", kind) end
    return cleaned(element)
  end
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

local division, block
function division(div)
  -- Markdown made of Markdown stays as it is; a reader must see whose words these are.
  if div.classes:includes("words") and not FORMAT:match("^markdown") then
    local label = pandoc.Div(pandoc.Plain("In the author’s words"), pandoc.Attr("", { "whose" }))
    local blocks = pandoc.Blocks(division(label))
    blocks:extend(div.content)
    div.content = blocks
    local said = { { "role", "note" }, { "aria-label", "In the author’s words" } }
    div.attr = pandoc.Attr(div.identifier, div.classes, said)
  end
  local printed = FORMAT == "typst" or FORMAT == "docx" or FORMAT == "latex"
  for _, class in ipairs(printed and div.classes or {}) do
    if class == "screen" then return {} end
    if BLOCKS[class] then return block(class, div.content) end
  end
  return cleaned(div)
end

-- A block of the report as its format draws it.
function block(class, content)
  if FORMAT == "docx" then
    return pandoc.Div(content, pandoc.Attr("", {}, { ["custom-style"] = BLOCKS[class] }))
  end
  local opening, closing = "#" .. class .. "[", "]"
  if FORMAT == "latex" then
    opening, closing = "\\begin{" .. class .. "}", "\\end{" .. class .. "}"
  elseif class == "numbers" then
    opening, closing = "#numbers((", "))"
    local cells = pandoc.Blocks({})
    for _, item in ipairs(content[1].content) do
      cells:insert(pandoc.RawBlock("typst", "["))
      cells:extend(item)
      cells:insert(pandoc.RawBlock("typst", "],"))
    end
    content = cells
  end
  local blocks = pandoc.Blocks(pandoc.RawBlock(FORMAT, opening))
  blocks:extend(content)
  blocks:insert(pandoc.RawBlock(FORMAT, closing))
  return blocks
end

local function span(element)
  for _, class in ipairs(FORMAT == "typst" and element.classes or {}) do
    if class == "verdict" or class == "lesser" then
      local call = "#lesser["
      if class == "verdict" then
        local of = 'verdicts.at("' .. (element.classes[2] or "") .. '", default: muted)'
        call = "#verdict(" .. of .. ")["
      end
      local inlines = pandoc.Inlines(pandoc.RawInline("typst", call))
      inlines:extend(element.content)
      inlines:insert(pandoc.RawInline("typst", "]"))
      return inlines
    end
  end
  return cleaned(element)
end

-- In a document that is whole: each name once, and no link to a name that is not there,
-- which Typst refuses: what the other of a short report's two files contains is no link.
local function anchored(doc)
  if FORMAT:match("^markdown") then return nil end
  local names = {}
  local function named(element)
    if names[element.identifier] then element.identifier = "" end
    if element.identifier ~= "" then names[element.identifier] = true end
    return element
  end
  -- Typst's writer leaves out the names of these.
  local function wrapped(element)
    element = named(element)
    if FORMAT ~= "typst" or element.identifier == "" then return element end
    local wrapper = element.t == "CodeBlock" and pandoc.Div or pandoc.Span
    local found = wrapper({ element:clone() }, pandoc.Attr(element.identifier))
    found.content[1].identifier = ""
    return found
  end
  local function reached(element)
    local name = element.target:match("^#(.*)$")
    if name and not names[name] then
      if pandoc.utils.stringify(element) == "details" then return pandoc.Str("appendix") end
      return pandoc.Span(element.content)
    end
  end
  return doc:walk({
    Header = named, Figure = named, Table = named, Div = named, Span = named,
    Code = wrapped, CodeBlock = wrapped, Image = wrapped, Link = wrapped,
  }):walk({ Link = reached })
end

-- Word would list our temporary files among a document's properties.
local function properties()
  if FORMAT == "docx" then return pandoc.Meta({}) end
end

return {
  { Meta = properties, RawBlock = nothing, RawInline = nothing },
  { Blocks = leading },
  {
    traverse = "topdown",
    Header = heading,
  },
  {
    Link = link, Image = image, Table = table_, Div = division, Span = span,
    Code = cleaned, CodeBlock = cleaned, Figure = cleaned,
  },
  { Pandoc = anchored },
}
