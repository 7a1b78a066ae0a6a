-- Format-independent pass: numbers everything once, resolves cross-references, checks the supported subset.
-- What it leaves behind is plain pandoc with a few agreed classes that layout.lua turns into HTML, typst and DOCX:
--   Div.panel > Div.subfigure, Div.caption      figure panels
--   Div.table-float > Table, Div.table-notes    a table with notes
--   Span.equation                               a numbered display equation
--   Div.callout, Div.landscape, Div.pagebreak
-- Problems go to stderr, one JSON object a line after a mark, so that all of them are reported at once.
local utils, stringify = pandoc.utils, pandoc.utils.stringify
local nbsp = '\u{a0}'

---------------------------------------------------------------- problems
-- needles: texts to look for in the author's source, the first that is found names the line
local function problem(message, needles, more)
  local p = { message = message, needles = needles }
  for k, v in pairs(more or {}) do p[k] = v end
  io.stderr:write('@problem ' .. pandoc.json.encode(p) .. '\n')
end

---------------------------------------------------------------- labels
local names = { fig = 'Figure', tbl = 'Table', eq = 'Equation', sec = 'Section' }
local count = { fig = 0, tbl = 0, eq = 0 }
local supplement = { fig = 0, tbl = 0 }
local labels, all_ids, used_ids = {}, {}, {}
local in_appendix, top_level = false, 1

local function kind_of(id)
  local kind = (id or ''):match('^(%a+)%-.')
  return kind and names[kind] and kind or nil
end
local function see_id(id)
  if not id or id == '' then return end
  if all_ids[id] then
    problem('the label #' .. id .. ' is given twice', { '#' .. id }, { occurrence = 2, expected = 'each label once' })
  end
  all_ids[id] = true
end
local function label(id, text, shown)
  labels[id] = { text = text, shown = shown }
end
local function number(id)
  local kind, text = kind_of(id), nil
  if in_appendix and supplement[kind] then
    supplement[kind] = supplement[kind] + 1
    text = 'S' .. supplement[kind]
  else
    count[kind] = count[kind] + 1
    text = tostring(count[kind])
  end
  label(id, text, names[kind] .. nbsp .. text)
  return text, names[kind] .. nbsp .. text
end
local function captioned(shown, inlines)
  return pandoc.List { pandoc.Strong { pandoc.Str(shown .. '.') }, pandoc.Space() } .. inlines
end
local function caption_inlines(caption) return utils.blocks_to_inlines(caption.long) end

---------------------------------------------------------------- the subset
local function check_attributes(what, attr, classes, attributes, needles)
  for _, class in ipairs(attr.classes) do
    if not classes[class] then
      problem(what .. ' of class .' .. class .. ' is outside of the supported subset', { '.' .. class, class })
    end
  end
  for key in pairs(attr.attributes) do
    if not attributes[key] then
      problem('the attribute ' .. key .. ' of ' .. what .. ' is outside of the supported subset', needles or { key .. '=' })
    end
  end
end
local callouts = { note = 'Note', tip = 'Tip', warning = 'Warning', caution = 'Caution', important = 'Important' }
local image_attributes = { width = true, height = true, ['fig-alt'] = true, ['fig-align'] = true, ['data-figure'] = true }

local function file_exists(path)
  local handle = io.open(path, 'rb')
  if handle then handle:close() end
  return handle ~= nil
end
local function check_image(image)
  local src, needles = image.src, { '(' .. image.src .. ')', image.src }
  check_attributes('an image', image, {}, image_attributes, needles)
  if src:match('^%a[%w+.-]*:') or src:match('^//') then
    problem('an image must be a file beside the paper, not an address', needles, { found = src })
    return
  end
  local wanted = { src }
  local extension = src:match('[^/]%.(%w+)$')
  if not extension then wanted = { src .. '.svg', src .. '.png' }
  elseif not ({ png = 1, jpg = 1, jpeg = 1 })[extension:lower()] then
    problem('an image with this ending cannot stand in all three formats', needles,
      { found = src, expected = 'no ending (then .svg and .png are both needed), .png or .jpg' })
  end
  for _, path in ipairs(wanted) do
    if not file_exists(path) then problem('the image file does not exist', needles, { found = path }) end
  end
end
local function alternative(image, caption)
  local alt = image.attributes['fig-alt'] or stringify(caption)
  image.attributes['fig-alt'] = nil
  image.caption = { pandoc.Str(alt) }
  return image
end

local function check_inlines(element)
  return element:walk {
    RawInline = function(raw)
      if raw.format == 'html' and raw.text:match('^<!%-%-') then return {} end
      problem('raw ' .. raw.format .. ' is outside of the supported subset', { (raw.text:match('^[^\n]+')) },
        { found = raw.text:sub(1, 60), hint = 'a plain < is written \\<, a backslash \\\\' })
    end,
    Span = function(span)
      if span.classes:includes('equation') then return end
      check_attributes('a span', span, { val = true, claim = true, meta = true, smallcaps = true, underline = true },
        { ['data-ard'] = true, ['data-claim'] = true, ['data-meta'] = true, title = span.classes:includes('meta') or nil })
      see_id(span.identifier)
    end,
    Link = function(link)
      if link.target:match('^#') then used_ids[#used_ids + 1] = link.target:sub(2) end
    end,
    Image = function(image) check_image(image) end,
  }
end

---------------------------------------------------------------- tables
local usable = { portrait = 96, landscape = 150 } -- characters of a table line, at the size tables are set
local function cell_measures(cell, min, max, heading)
  local text = stringify(pandoc.Div(cell.contents))
  local longest, all = 0, utf8.len(text) or #text
  for word in text:gmatch('[^%s\u{a0}]+') do longest = math.max(longest, utf8.len(word) or #word) end
  -- "0.90 (0.72 to 1.12)" reads badly when it is broken; headings may wrap, and one long cell must not rule
  if heading then all = math.ceil(all / 2) elseif all <= 20 then longest = all end
  return math.max(min, longest), math.max(max, longest, math.min(all, 45))
end
local padding = 3 -- characters that the space around the text of a cell takes
-- Widths follow the content, as a browser lays a table out: each column at least its longest word (up to a
-- bound), what is left in proportion to what the columns would like to have.
local function content_widths(t, landscape)
  local n, min, max = #t.colspecs, {}, {}
  for i = 1, n do min[i], max[i] = 1, 1 end
  local function row(cells, heading)
    local at = 1
    for _, cell in ipairs(cells) do
      if cell.col_span == 1 and at <= n then min[at], max[at] = cell_measures(cell, min[at], max[at], heading) end
      at = at + cell.col_span
    end
  end
  for _, r in ipairs(t.head.rows) do row(r.cells, true) end
  for _, body in ipairs(t.bodies) do for _, r in ipairs(body.body) do row(r.cells, false) end end
  local all = usable[landscape and 'landscape' or 'portrait']
  local room, least, like = all - padding * n, 0, 0
  for i = 1, n do
    min[i] = math.min(min[i], 22)
    least, like = least + min[i], like + max[i]
  end
  like = math.max(like, least)
  if like <= room then return nil end
  local widths, dense = {}, least > room
  for i = 1, n do
    local own = dense and min[i] * room / least or min[i] + (room - least) * (max[i] - min[i]) / math.max(like - least, 1)
    widths[i] = (own + padding) / all
  end
  return widths, dense
end
local function set_widths(t, explicit, landscape, needles)
  local widths, dense
  if explicit then
    local values, total = {}, 0
    for value in explicit:gmatch('[%d.]+') do
      values[#values + 1] = tonumber(value)
      total = total + tonumber(value)
    end
    if #values ~= #t.colspecs or total <= 0 then
      problem('tbl-colwidths must give one number a column', needles,
        { found = explicit, expected = #t.colspecs .. ' numbers' })
      return
    end
    widths = {}
    for i, value in ipairs(values) do widths[i] = value / total end
  else
    widths, dense = content_widths(t, landscape)
  end
  t.attributes['widths'] = explicit and 'given' or (widths and 'content' or 'natural')
  if dense then t.attributes['dense'] = 'true' end
  local capacity = {}
  for i, spec in ipairs(t.colspecs) do
    t.colspecs[i] = { spec[1], widths and widths[i] or nil }
    if widths then
      local own = widths[i] * usable[landscape and 'landscape' or 'portrait'] - padding
      capacity[i] = tostring(math.max(4, math.floor(own * (dense and 1.15 or 1))))
    end
  end
  if widths then t.attributes['capacity'] = table.concat(capacity, ',') end
end

---------------------------------------------------------------- blocks
local blocks -- forward

local function do_table(t, given, context)
  local caption = given or caption_inlines(t.caption)
  local id, needles = t.identifier, { '#' .. t.identifier }
  check_attributes('a table', t, {}, { ['tbl-colwidths'] = true, ['data-table'] = true })
  if t.identifier == '' then needles = { stringify(caption):match('^%S+%s*%S*') or '|' } end
  local explicit = t.attributes['tbl-colwidths']
  t.attributes['tbl-colwidths'] = nil
  if id ~= '' and kind_of(id) ~= 'tbl' then
    problem('the label of a table must begin with tbl-', needles, { found = '#' .. id })
  elseif id ~= '' then
    if #caption == 0 then problem('the table #' .. id .. ' has no caption', needles) end
    if not given then see_id(id) end
    local _, shown = number(id)
    t.caption = pandoc.Caption { pandoc.Plain(captioned(shown, caption)) }
  end
  set_widths(t, explicit, context.landscape, needles)
  return check_inlines(t)
end

local function do_table_div(div, context)
  see_id(div.identifier)
  check_attributes('a table div', div, {}, { ['tbl-colwidths'] = true, ['data-table'] = true })
  local body, needles = pandoc.List(div.content), { '#' .. div.identifier }
  local at, tables = nil, 0
  for i, block in ipairs(body) do
    if block.t == 'Table' then at, tables = i, tables + 1 end
  end
  if tables ~= 1 then
    problem('the div #' .. div.identifier .. ' must hold exactly one table', needles, { found = tostring(tables) })
    return blocks(body, context)
  end
  local caption, last = nil, body[#body]
  local inner = caption_inlines(body[at].caption)
  if #inner > 0 then caption = inner
  elseif #body > 1 and last.t == 'Para' then
    caption = last.content
    body:remove(#body)
  else
    caption = pandoc.List {}
  end
  local t = body:remove(at)
  if t.identifier ~= '' then problem('a table within a div #tbl- must not have a label of its own', { '#' .. t.identifier }) end
  t.identifier = div.identifier
  for _, key in ipairs { 'tbl-colwidths', 'data-table' } do
    if div.attributes[key] then t.attributes[key] = div.attributes[key] end
  end
  t = do_table(t, caption, context)
  if #body == 0 then return t end
  return pandoc.Div({ t, pandoc.Div(blocks(body, context), pandoc.Attr('', { 'table-notes' })) },
    pandoc.Attr('', { 'table-float' }))
end

local function do_figure(figure)
  local caption = caption_inlines(figure.caption)
  local image = figure.content[1] and figure.content[1].content and figure.content[1].content[1]
  if not image or image.t ~= 'Image' then return figure end
  local needles = { '#' .. figure.identifier, '(' .. image.src .. ')' }
  check_inlines(pandoc.Plain(figure.content[1].content))
  if figure.identifier ~= '' and kind_of(figure.identifier) ~= 'fig' then
    problem('the label of a figure must begin with fig-', needles, { found = '#' .. figure.identifier })
  elseif figure.identifier ~= '' then
    see_id(figure.identifier)
    local _, shown = number(figure.identifier)
    figure.caption = pandoc.Caption { pandoc.Plain(captioned(shown, caption)) }
  end
  figure.caption = pandoc.Caption { check_inlines(pandoc.Plain(caption_inlines(figure.caption))) }
  figure.attributes['data-figure'] = image.attributes['data-figure']
  image.attributes['data-figure'] = nil
  figure.content = { pandoc.Plain { alternative(image, caption) } }
  return figure
end

local letters = 'abcdefghijklmnopqrstuvwxyz'
local function do_panel(div, context)
  see_id(div.identifier)
  check_attributes('a figure div', div, {}, { ['layout-ncol'] = true })
  local needles = { '#' .. div.identifier }
  local columns = tonumber(div.attributes['layout-ncol'] or '1')
  if not columns or columns < 1 or columns > 6 or columns % 1 ~= 0 then
    problem('layout-ncol must be a whole number from 1 to 6', needles, { found = div.attributes['layout-ncol'] })
    columns = 1
  end
  local body, caption = pandoc.List(div.content), nil
  local function only_images(block)
    local images = pandoc.List {}
    for _, inline in ipairs(block.content) do
      if inline.t == 'Image' then images:insert(inline)
      elseif inline.t ~= 'Space' and inline.t ~= 'SoftBreak' then return nil end
    end
    return #images > 0 and images or nil
  end
  local last = body[#body]
  if last and last.t == 'Para' and not only_images(last) then
    caption = last.content
    body:remove(#body)
  else
    problem('#' .. div.identifier .. ' has no caption', needles, { expected = 'a paragraph with it as the last one of the div' })
    caption = pandoc.List {}
  end
  local cells = pandoc.List {}
  for _, block in ipairs(body) do
    local images = (block.t == 'Para' or block.t == 'Plain') and only_images(block)
    if block.t == 'Figure' then
      cells:insert { id = block.identifier, image = block.content[1].content[1], caption = caption_inlines(block.caption) }
    elseif images then
      for _, image in ipairs(images) do
        local id = image.identifier
        image.identifier = ''
        cells:insert { id = id, image = image, caption = pandoc.List(image.caption) }
      end
    else
      problem('a figure div may hold images and a caption only', needles, { found = block.t })
    end
  end
  local text, shown = number(div.identifier)
  local out = pandoc.List {}
  for i, cell in ipairs(cells) do
    local parts = pandoc.List {}
    check_inlines(pandoc.Plain { cell.image })
    if #cells > 1 then
      local letter = '(' .. letters:sub(i, i) .. ')'
      parts:extend { pandoc.Str(letter) }
      if #cell.caption > 0 then parts:insert(pandoc.Space()) end
      if cell.id ~= '' then
        if kind_of(cell.id) ~= 'fig' then
          problem('the label of a figure must begin with fig-', { '#' .. cell.id }, { found = '#' .. cell.id })
        else
          label(cell.id, text .. nbsp .. letter, names.fig .. nbsp .. text .. nbsp .. letter)
        end
      end
    end
    see_id(cell.id)
    parts:extend(cell.caption)
    local shown = cell.image.attributes['data-figure']
    cell.image.attributes['data-figure'] = nil
    local image = alternative(cell.image, #cell.caption > 0 and cell.caption or caption)
    local content = pandoc.List { pandoc.Plain { image } }
    if #parts > 0 then content:insert(check_inlines(pandoc.Plain(parts))) end
    local subfigure = pandoc.Div(content, pandoc.Attr(cell.id, { 'subfigure' }))
    subfigure.attributes['data-figure'] = shown
    out:insert(subfigure)
  end
  out:insert(pandoc.Div({ check_inlines(pandoc.Plain(captioned(shown, caption))) }, pandoc.Attr('', { 'caption' })))
  return pandoc.Div(out, pandoc.Attr(div.identifier, { 'panel' }, { ncol = tostring(columns) }))
end

local function do_callout(div, kind, context)
  check_attributes('a callout', div, { ['callout-' .. kind] = true, ['synthetic-banner'] = true }, { title = true })
  see_id(div.identifier)
  local body, title = pandoc.List(div.content), nil
  if div.attributes.title then title = pandoc.List { pandoc.Str(div.attributes.title) }
  elseif body[1] and body[1].t == 'Header' then
    title = body[1].content
    body:remove(1)
  else
    title = pandoc.List { pandoc.Str(callouts[kind]) }
  end
  local content = pandoc.List { pandoc.Div({ check_inlines(pandoc.Plain(title)) }, pandoc.Attr('', { 'callout-title' })) }
  content:extend(blocks(body, { landscape = context.landscape, inside = true }))
  return pandoc.Div(content, pandoc.Attr(div.identifier, { 'callout', 'callout-' .. kind }))
end

local section, appendices = {}, 0
local function do_header(h, context)
  check_attributes('a heading', h, { unnumbered = true, unlisted = true, appendix = true }, {}, { stringify(h) })
  see_id(h.identifier)
  local level, appendix = h.level - top_level + 1, h.classes:includes('appendix')
  if context.inside then
    problem('a heading cannot stand within a callout or a list', { stringify(h) })
  end
  if level == 1 then in_appendix = appendix
  elseif appendix then
    problem('only a heading of the top level can be .appendix; those below it follow', { stringify(h) })
  end
  h.level = level
  h.classes = h.classes:filter(function(c) return c ~= 'appendix' end)
  h = check_inlines(h)
  if h.classes:includes('unnumbered') then
    if kind_of(h.identifier) == 'sec' then label(h.identifier, stringify(h), '\u{201c}' .. stringify(h) .. '\u{201d}') end
    return h
  end
  for deeper = level + 1, 6 do section[deeper] = 0 end
  local first
  if level == 1 and appendix then
    appendices = appendices + 1
    section[1] = section[1] or 0
  elseif level == 1 then
    section[1] = (section[1] or 0) + 1
  else
    section[level] = (section[level] or 0) + 1
  end
  first = in_appendix and string.char(64 + appendices) or tostring(section[1] or 0)
  local parts = { first }
  for i = 2, level do parts[#parts + 1] = tostring(section[i] or 0) end
  local text = table.concat(parts, '.')
  if kind_of(h.identifier) == 'sec' then
    label(h.identifier, text, (in_appendix and 'Appendix' or 'Section') .. nbsp .. text)
  end
  local mark = (in_appendix and level == 1) and ('Appendix' .. nbsp .. text .. '.') or text
  h.content = pandoc.List { pandoc.Span({ pandoc.Str(mark) }, pandoc.Attr('', { 'heading-number' })), pandoc.Space() } .. h.content
  return h
end

local function do_para(p)
  local content, i, out = p.content, 1, pandoc.List {}
  while i <= #content do
    local x, j = content[i], i + 1
    if x.t == 'Math' and x.mathtype == 'DisplayMath' then
      while content[j] and (content[j].t == 'Space' or content[j].t == 'SoftBreak') do j = j + 1 end
      local id = content[j] and content[j].t == 'Str' and content[j].text:match('^{#(eq%-[%w_-]+)}$')
      if id then
        see_id(id)
        local text = number(id)
        out:insert(pandoc.Span({ x }, pandoc.Attr(id, { 'equation' }, { number = text })))
        i = j + 1
      else
        out:insert(x)
        i = i + 1
      end
    else
      if x.t == 'Str' and x.text:match('^{#[%w_-]+}?') then
        problem('this label is not attached to anything', { x.text }, { found = x.text })
      end
      out:insert(x)
      i = i + 1
    end
  end
  p.content = out
  return check_inlines(p)
end

local function do_div(div, context)
  for _, class in ipairs(div.classes) do
    local kind = class:match('^callout%-(%a+)$')
    if kind and callouts[kind] then return do_callout(div, kind, context) end
  end
  local kind = kind_of(div.identifier)
  if kind == 'fig' then return do_panel(div, context) end
  if kind == 'tbl' then return do_table_div(div, context) end
  see_id(div.identifier)
  check_attributes('a div', div, { landscape = true }, {})
  local landscape = div.classes:includes('landscape')
  if landscape and context.landscape then problem('a landscape div cannot stand within another', { '.landscape' }) end
  div.content = blocks(div.content, { landscape = landscape or context.landscape, inside = context.inside })
  return div
end

function blocks(list, context)
  local out = pandoc.List {}
  local inner = { landscape = context.landscape, inside = true }
  for _, b in ipairs(list) do
    local r = b
    if b.t == 'Figure' then r = do_figure(b)
    elseif b.t == 'Table' then r = do_table(b, nil, context)
    elseif b.t == 'Header' then r = do_header(b, context)
    elseif b.t == 'Para' or b.t == 'Plain' then
      if stringify(b) == '{{< pagebreak >}}' then r = pandoc.Div({}, pandoc.Attr('', { 'pagebreak' }))
      else r = do_para(b) end
    elseif b.t == 'Div' then r = do_div(b, context)
    elseif b.t == 'BlockQuote' then b.content = blocks(b.content, inner)
    elseif b.t == 'BulletList' or b.t == 'OrderedList' then
      for i, item in ipairs(b.content) do b.content[i] = blocks(item, inner) end
    elseif b.t == 'DefinitionList' then
      for i, item in ipairs(b.content) do
        local term = check_inlines(pandoc.Plain(item[1])).content
        local definitions = pandoc.List {}
        for _, definition in ipairs(item[2]) do definitions:insert(blocks(definition, inner)) end
        b.content[i] = { term, definitions }
      end
    elseif b.t == 'LineBlock' then r = check_inlines(b)
    elseif b.t == 'RawBlock' then
      if b.format == 'html' and b.text:match('^<!%-%-') then r = pandoc.List {}
      else
        problem('raw ' .. b.format .. ' is outside of the supported subset', { (b.text:match('^[^\n]+')) },
          { found = b.text:sub(1, 60) })
      end
    end
    if utils.type(r) == 'List' or utils.type(r) == 'Blocks' then out:extend(r) else out:insert(r) end
  end
  return out
end

---------------------------------------------------------------- cross-references and citations
local references = {}
local function do_cite(cite)
  local hits = 0
  for _, c in ipairs(cite.citations) do
    if kind_of(c.id:sub(1, 1):lower() .. c.id:sub(2)) then hits = hits + 1
    elseif not references[c.id] then
      problem('the citation @' .. c.id .. ' is not in the bibliography', { '@' .. c.id },
        { found = '@' .. c.id, candidates = c.id })
    end
  end
  if hits == 0 then return nil end
  if hits < #cite.citations then
    problem('a cross-reference and a citation cannot share one bracket', { '@' .. cite.citations[1].id })
    return nil
  end
  local out = pandoc.List {}
  for i, c in ipairs(cite.citations) do
    local id = c.id:sub(1, 1):lower() .. c.id:sub(2)
    local target = labels[id]
    if i > 1 then out:extend { pandoc.Str(','), pandoc.Space() } end
    if not target then
      local what = names[kind_of(id)]:lower()
      problem('there is no ' .. what .. ' labelled ' .. id, { '@' .. c.id }, { found = '@' .. c.id, label = id })
      out:insert(pandoc.Str(id))
    else
      out:extend(c.prefix)
      if #c.prefix > 0 then out:insert(pandoc.Space()) end
      local shown = c.mode == 'SuppressAuthor' and target.text or target.shown
      out:insert(pandoc.Link({ pandoc.Str(shown) }, '#' .. id, '', pandoc.Attr('', { 'xref' })))
      out:extend(c.suffix)
    end
  end
  return out
end

---------------------------------------------------------------- title block
local months = { 'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October',
  'November', 'December' }
local function inlines(x) return pandoc.Inlines(utils.type(x) == 'Blocks' and utils.blocks_to_inlines(x) or x) end
local function do_meta(meta)
  if not meta.title then problem('the YAML block has no title', { '---' }) end
  for _, key in ipairs { 'title', 'subtitle' } do
    if meta[key] then meta[key] = check_inlines(pandoc.Plain(inlines(meta[key]))).content end
  end
  if meta.abstract then
    local abstract = utils.type(meta.abstract) == 'Blocks' and meta.abstract or pandoc.Blocks { pandoc.Para(inlines(meta.abstract)) }
    meta.abstract = pandoc.MetaBlocks(blocks(abstract, { inside = true }))
  end
  local given = meta.author
  if given then
    if utils.type(given) ~= 'List' then given = pandoc.List { given } end
    local places, place_number, authors, correspondence = pandoc.List {}, {}, pandoc.List {}, pandoc.List {}
    for _, author in ipairs(given) do
      if utils.type(author) == 'Inlines' then author = { name = author } end
      if not author.name then
        problem('an author has no name', { 'author:' })
        author.name = pandoc.Inlines { pandoc.Str('?') }
      end
      local name = stringify(author.name)
      local marks = {}
      for _, key in ipairs { 'affiliations', 'affiliation' } do
        local list = author[key]
        if list and utils.type(list) ~= 'List' then list = pandoc.List { list } end
        for _, place in ipairs(list or {}) do
          local text = stringify(utils.type(place) == 'Inlines' and place or place.name or '')
          if not place_number[text] then
            places:insert { mark = tostring(#places + 1), name = text }
            place_number[text] = tostring(#places)
          end
          marks[#marks + 1] = place_number[text]
        end
      end
      authors:insert {
        name = name, marks = table.concat(marks, ','),
        orcid = author.orcid and (stringify(author.orcid):gsub('^https?://orcid%.org/', '')) or nil,
      }
      if author.corresponding == true or stringify(author.corresponding or '') == 'true' then
        correspondence:insert { name = name, email = author.email and stringify(author.email) or nil }
      end
    end
    meta['by-author'], meta.affiliations, meta.correspondence = authors, places, correspondence
    meta.author = authors:map(function(a) return pandoc.MetaInlines { pandoc.Str(a.name) } end)
  end
  if meta.date then
    local y, m, d = stringify(meta.date):match('^(%d%d%d%d)%-(%d%d)%-(%d%d)$')
    if y then
      meta['date-meta'] = pandoc.MetaString(stringify(meta.date))
      meta.date = pandoc.MetaInlines { pandoc.Str(tonumber(d) .. nbsp .. (months[tonumber(m)] or '?') .. nbsp .. y) }
    end
  end
  if not meta.lang then meta.lang = pandoc.MetaString('en-GB') end
  local short = stringify(meta['short-title'] or meta.title or '')
  if not meta['short-title'] and (utf8.len(short) or 0) > 70 then -- one line of the page header
    short = short:sub(1, utf8.offset(short, 68) - 1):gsub('[%s%p]*%S*$', '') .. '\u{2026}'
  end
  meta['short-title'] = pandoc.MetaString(short)
  return meta
end

return {
  { Pandoc = function(doc)
      for _, reference in ipairs(utils.references(doc)) do references[reference.id] = true end
      local top = 6
      local body, banner = pandoc.List {}, nil
      for _, block in ipairs(doc.blocks) do
        if block.t == 'Header' then top = math.min(top, block.level) end
        if block.t == 'Div' and block.classes:includes('synthetic-banner') then banner = block else body:insert(block) end
      end
      top_level = top
      doc.meta = do_meta(doc.meta)
      if banner then doc.meta['synthetic-notice'] = pandoc.MetaBlocks(pandoc.Blocks { do_callout(banner, 'warning', {}) }) end
      doc.blocks = blocks(body, {})
      doc = doc:walk { Note = function(note) note.content = blocks(note.content, { inside = true }); return note end }
      return doc
    end },
  { Cite = do_cite },
  { Pandoc = function(doc)
      doc:walk { Header = function(h) all_ids[h.identifier] = true end }
      for _, id in ipairs(used_ids) do
        if not all_ids[id] and not labels[id] then
          problem('the link leads to a label that does not exist', { '(#' .. id .. ')' }, { found = '#' .. id, label = id })
        end
      end
      local known, shown = {}, {}
      for id, target in pairs(labels) do known[id], shown[id] = target.text, target.shown end
      io.stderr:write('@labels ' .. pandoc.json.encode(known) .. '\n')
      io.stderr:write('@shown ' .. pandoc.json.encode(shown) .. '\n')
      return doc
    end },
}
