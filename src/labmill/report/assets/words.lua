-- Reads Markdown of a user and writes it again with every construct closed, so that it can
-- be a part of a larger document: `pandoc lua words.lua` with JSON on standard input.
--
-- Input: reader; filter (file); base (level of the first headings); references (BibTeX);
-- pictures (path in the text -> file of the report); texts (where, text).
-- Output: keys (of the references) or error, and for each of the texts its markdown, names,
-- links and problems (kind, found).
-- Standard error: what is being read, so that a text that never ends can be named.
local input = pandoc.json.decode(io.read("a"), false)
-- Names of what the report computes.
local OWN = { "^claim%-", "^fig%-", "^tbl%-", "^ref%-", "^labmill%-", "^question%-", "^section%-%D", "^top$", "^refs$" }
-- Classes that pandoc itself gives to <https://…> and <me@…>.
local AUTOMATIC = { uri = true, email = true }
local notes = 0
local keys = input.references:match("%S") and pandoc.List {}

FORMAT = input.reader

local function reserved(name)
  for _, pattern in ipairs(OWN) do
    if name:match(pattern) then return true end
  end
end

-- Headings that name themselves, by their place among all headings.
local function explicit_names(text)
  local found = {}
  pandoc.read(text, input.reader .. "-auto_identifiers"):walk {
    traverse = "topdown",
    Header = function(header) table.insert(found, header.identifier ~= "") end,
  }
  return found
end

local function shifted(doc, levels)
  return doc:walk {
    Header = function(header)
      header.level = header.level + levels
      return header
    end,
  }
end

local function read(text)
  local problems, names, links = pandoc.List {}, pandoc.List {}, pandoc.List {}
  local renamed = {}
  local function problem(kind, found)
    problems:insert { kind = kind, found = found }
  end
  local doc = pandoc.read(text, input.reader)
  local explicit, lowest, count = nil, 9, 0

  -- A heading whose name pandoc made of its words cannot help what it is called.
  doc = doc:walk {
    traverse = "topdown",
    Header = function(header)
      count, lowest = count + 1, math.min(lowest, header.level)
      if reserved(header.identifier) then
        explicit = explicit or explicit_names(text)
        if not explicit[count] then
          renamed[header.identifier] = "words-" .. header.identifier
          header.identifier = renamed[header.identifier]
        end
      end
      return header
    end,
  }

  local function look(element)
    local name, classes = element.identifier, element.classes
    if name ~= "" then
      if reserved(name) then problem("name", name) end
      names:insert(name)
    end
    for _, class in ipairs(classes) do
      if not (element.t == "Link" and AUTOMATIC[class]) then problem("class", class) end
    end
  end
  local function code(element)
    local classes = element.classes
    element.classes = {}
    look(element)
    element.classes = classes
  end
  local function mathematics(element)
    local messages = pandoc.log.silence(pandoc.write, pandoc.Pandoc { pandoc.Plain { element } }, "typst")
    if #messages > 0 then problem("mathematics", element.text) end
  end
  local function citation(cite)
    for _, one in ipairs(cite.citations) do
      if keys and not keys:includes(one.id) then
        problem("citation", one.id)
      elseif not keys and one.mode ~= "AuthorInText" then
        problem("no references", one.id)
      end
    end
    -- Without references, a name such as @someone is a name.
    if not keys then return cite.content end
  end
  local function picture(image)
    local known = input.pictures[image.src]
    if known then image.src = known else problem("picture", image.src) end
    look(image)
    return image
  end
  local function link(element)
    look(element)
    local name = element.target:match("^#(.*)$")
    if name then
      name = renamed[name] or name
      element.target = "#" .. name
      if not reserved(name) then links:insert(name) end
    end
    return element
  end
  doc = doc:walk {
    Header = look, Span = look, Div = look, Figure = look, Table = look,
    Code = code, CodeBlock = code, Math = mathematics, Cite = citation, Image = picture, Link = link,
  }

  doc = shifted(doc, 1 - lowest)
  for _, filter in ipairs(dofile(input.filter)) do doc = doc:walk(filter) end
  doc = shifted(doc, input.base - 1)
  -- Footnotes of two texts may have the same number: each gets a name of its own.
  local definitions = pandoc.Blocks {}
  doc = doc:walk {
    Note = function(note)
      notes = notes + 1
      local name = "[^words-" .. notes .. "]"
      local text = pandoc.write(pandoc.Pandoc(note.content), input.reader)
      local lines = text:gsub("%s+$", ""):gsub("\n", "\n    ")
      definitions:insert(pandoc.RawBlock("markdown", name .. ": " .. lines))
      return pandoc.RawInline("markdown", name)
    end,
  }
  doc.blocks:extend(definitions)
  local options = { wrap_text = "none", columns = 10000 }
  return {
    markdown = pandoc.write(doc, input.reader, options),
    names = names, links = links, problems = problems,
  }
end

local done, broken = pandoc.List {}, nil
if keys then
  io.stderr:write("report.references\n")
  local read_well, found = pcall(pandoc.read, input.references, "bibtex")
  if read_well then
    for _, one in ipairs(found.meta.references or {}) do
      keys:insert(pandoc.utils.stringify(one.id))
    end
  else
    broken = tostring(found)
  end
end
for _, one in ipairs(input.texts) do
  io.stderr:write(one.where, "\n")
  local made = read(one.text)
  made.where = one.where
  done:insert(made)
end
print(pandoc.json.encode { keys = keys or pandoc.List {}, error = broken, texts = done })
