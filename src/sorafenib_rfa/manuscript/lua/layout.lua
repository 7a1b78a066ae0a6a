-- Turns what number.lua left into the means of one format. FORMAT is html5, typst or docx.
local utils, stringify = pandoc.utils, pandoc.utils.stringify
local format = FORMAT:match('^html') and 'html' or FORMAT
local audit_href
local html_tables = 0

local function raw(text) return pandoc.RawInline(format == 'docx' and 'openxml' or format, text) end
local function raw_block(text) return pandoc.RawBlock(format == 'docx' and 'openxml' or format, text) end
local function attr(id, classes, attributes) return pandoc.Attr(id or '', classes or {}, attributes or {}) end
local function styled(name, content) return pandoc.Div(content, attr('', {}, { ['custom-style'] = name })) end
local function quoted(text) return '"' .. text:gsub('[\\"]', '\\%0'):gsub('\n', ' ') .. '"' end
local function caption_inlines(caption) return utils.blocks_to_inlines(caption.long) end
local function label(id) return id ~= '' and ' <' .. id .. '>' or '' end

-- HTML: the way from what is printed to where it comes from
local function to_audit(id, content, attributes)
  return pandoc.Link(content, audit_href .. id, '', attr('', { 'val' }, attributes))
end
local function linked_label(caption, id)
  if audit_href and id and caption[1] and caption[1].t == 'Strong' then caption[1] = to_audit(id, { caption[1] }) end
  return caption
end

local function with_extension(image)
  if not image.src:match('[^/]%.%w+$') then image.src = image.src .. (format == 'docx' and '.png' or '.svg') end
  return image
end
-- DOCX: a picture taller than the page gets the height that is left beside its caption
local text_width, text_height = 15.9, 20 -- cm
local function within_page(image)
  if format ~= 'docx' or image.attributes.height then return image end
  local handle = io.open(image.src, 'rb')
  local size = handle and pandoc.image.size(handle:read('a'))
  if handle then handle:close() end
  local percent = tonumber((image.attributes.width or '100%'):match('^([%d.]+)%%$'))
  if size and percent and text_width * percent / 100 * size.height / size.width > text_height then
    image.attributes.width = string.format('%.2fcm', text_height * size.width / size.height)
  end
  return image
end
local function typst_length(text, default)
  if not text then return default end
  local value, unit = text:match('^([%d.]+)%s*(%a*%%?)$')
  if not value then return default end
  if unit == 'px' or unit == '' then return tostring(tonumber(value) * 0.75) .. 'pt' end
  return value .. unit
end
local function typst_image(image)
  with_extension(image)
  local height = image.attributes.height and (', height: ' .. typst_length(image.attributes.height, 'auto')) or ''
  return 'page-image(' .. quoted(image.src) .. ', width: ' .. typst_length(image.attributes.width, '100%') .. height
    .. ', alt: ' .. quoted(stringify(image.caption)) .. ')'
end

---------------------------------------------------------------- figures and panels
local function figure(f)
  local image = f.content[1] and f.content[1].content and f.content[1].content[1]
  if not image or image.t ~= 'Image' then return f end
  if format == 'typst' then
    local content = pandoc.List { raw('#figure(' .. typst_image(image) .. ', caption: [') }
    content:extend(caption_inlines(f.caption))
    content:insert(raw('])' .. label(f.identifier)))
    return pandoc.Para(content)
  end
  within_page(with_extension(image))
  f.content = { pandoc.Plain { image } }
  local shown = f.attributes['data-figure']
  if format == 'html' then f.caption.long = { pandoc.Plain(linked_label(caption_inlines(f.caption), shown and 'figure:' .. shown)) }
  else f.attributes['data-figure'] = nil end
  return f
end

local function panel(div)
  local columns, cells, caption = tonumber(div.attributes.ncol), pandoc.List {}, nil
  for _, part in ipairs(div.content) do
    if part.classes:includes('caption') then caption = part.content[1].content
    else
      cells:insert { id = part.identifier, shown = part.attributes['data-figure'], image = part.content[1].content[1], caption = part.content[2] and part.content[2].content }
    end
  end
  if format == 'typst' then
    local out = pandoc.List { raw('#figure(grid(columns: (1fr,) * ' .. columns .. ', column-gutter: 1.2em, row-gutter: 1em,') }
    for _, cell in ipairs(cells) do
      out:insert(raw('subfigure(' .. typst_image(cell.image) .. ', ['))
      out:extend(cell.caption or {})
      out:insert(raw('], ' .. (cell.id ~= '' and quoted(cell.id) or 'none') .. '),'))
    end
    out:insert(raw('), caption: ['))
    out:extend(caption)
    out:insert(raw('])' .. label(div.identifier)))
    return pandoc.Para(out)
  end
  for _, cell in ipairs(cells) do
    with_extension(cell.image)
    if format == 'docx' and not cell.image.attributes.width then
      cell.image.attributes.width = math.floor(96 / columns) .. '%'
    end
  end
  if format == 'html' then
    local kids = pandoc.List {}
    for _, cell in ipairs(cells) do
      local content = pandoc.List { pandoc.Plain { cell.image } }
      if cell.caption then content:insert(pandoc.Div({ pandoc.Plain(cell.caption) }, attr('', { 'subcaption' }))) end
      kids:insert(pandoc.Div(content, attr(cell.id, { 'subfigure' }, cell.shown and { { 'data-figure', cell.shown } } or {})))
    end
    return pandoc.Figure({ pandoc.Div(kids, attr('', { 'subfigures' }, { style = '--columns:' .. columns })) },
      pandoc.Caption { pandoc.Plain(caption) }, attr(div.identifier, { 'panel' }))
  end
  local rows, row = pandoc.List {}, pandoc.List {}
  for i, cell in ipairs(cells) do
    local content = pandoc.List { styled('Figure', { pandoc.Para { cell.image } }) }
    if cell.caption then
      content:insert(styled('Panel Caption', { pandoc.Para { pandoc.Span(cell.caption, attr(cell.id)) } }))
    end
    row:insert(content)
    if #row == columns or i == #cells then
      while #row < columns do row:insert(pandoc.List { pandoc.Plain {} }) end
      rows:insert(row)
      row = pandoc.List {}
    end
  end
  local aligns, widths = pandoc.List {}, pandoc.List {}
  for _ = 1, columns do
    aligns:insert('AlignCenter')
    widths:insert(1 / columns)
  end
  local t = utils.from_simple_table(pandoc.SimpleTable({}, aligns, widths, {}, rows))
  t.attributes['custom-style'] = 'Panel'
  return pandoc.Div({ t, styled('Image Caption', { pandoc.Para(caption) }) }, attr(div.identifier))
end

---------------------------------------------------------------- tables
-- typst breaks a line only where a word ends: give words longer than their column places to break
local function breakable(text, capacity)
  if (utf8.len(text) or #text) <= capacity then return text end
  local out, run = {}, 0
  for _, code in utf8.codes(text) do
    local char = utf8.char(code)
    if run >= capacity - 1 then
      out[#out + 1] = '\u{200b}'
      run = 0
    end
    out[#out + 1] = char
    run = run + 1
    if char:match('[_/.,;:=+-]') and run > 3 then
      out[#out + 1] = '\u{200b}'
      run = 0
    end
  end
  return table.concat(out)
end
local function each_cell(t, action)
  local function rows(list, heading)
    for _, r in ipairs(list) do
      local at = 1
      for i, cell in ipairs(r.cells) do
        action(cell, at, heading)
        r.cells[i] = cell
        at = at + cell.col_span
      end
    end
  end
  rows(t.head.rows, true)
  for _, body in ipairs(t.bodies) do rows(body.body) end
  rows(t.foot.rows)
  return t
end
-- A row with a bold first cell and nothing else heads the rows after it: its cell takes the whole width.
local function span_headings(t)
  for _, body in ipairs(t.bodies) do
    for _, r in ipairs(body.body) do
      local first = r.cells[1].contents
      local bold = #first == 1 and first[1].content and #first[1].content == 1 and first[1].content[1].t == 'Strong'
      local others = ''
      for i = 2, bold and #r.cells or 1 do others = others .. stringify(pandoc.Div(r.cells[i].contents)) end
      if bold and others == '' and #r.cells == #t.colspecs and #r.cells > 1 then
        r.cells[1].col_span = #t.colspecs
        -- by this the renderer knows the row: typst keeps a header with what follows, a cell it does not
        if format == 'typst' then r.cells[1].attributes['typst:breakable'] = 'false' end
        r.cells = { r.cells[1] }
      end
    end
  end
  return t
end
local function the_table(t)
  t = span_headings(t)
  local widths, capacity, dense = t.attributes.widths, t.attributes.capacity, t.attributes.dense
  local shown = t.attributes['data-table']
  t.attributes['data-table'] = nil
  if not widths then return t end
  t.attributes.widths, t.attributes.capacity, t.attributes.dense = nil, nil, nil
  if format == 'html' then
    if widths ~= 'given' then
      for i, spec in ipairs(t.colspecs) do t.colspecs[i] = { spec[1], nil } end
    end
    t = each_cell(t, function(cell, at, heading)
      local text = stringify(pandoc.Div(cell.contents))
      local length = utf8.len(text) or #text
      -- an estimate and its interval stay on one line
      local numeric = t.colspecs[at][1] == 'AlignRight' and length <= 28
      if not heading and (length <= 20 or numeric) then cell.attr = attr('', { 'short' })
      elseif length > 24 then
        cell.contents = cell.contents:walk { Str = function(s) return pandoc.Str(breakable(s.text, 24)) end }
      end
    end)
    -- the caption stays outside of the part that scrolls sideways on a narrow screen
    local id, caption = t.identifier, caption_inlines(t.caption)
    t.identifier, t.caption = '', pandoc.Caption {}
    -- pairs, not a table of keys: Lua would write those in another order each time
    local region = { { 'tabindex', '0' }, { 'role', 'region' } }
    if #caption == 0 then
      region[3] = { 'aria-label', 'Table' }
      return pandoc.Div({ t }, attr(id, { 'table-wrap' }, region))
    end
    html_tables = html_tables + 1
    local caption_id = (id ~= '' and id or 'table-' .. html_tables) .. '-caption'
    region[3] = { 'aria-labelledby', caption_id }
    return pandoc.List {
      raw_block('<figure class="table-figure"' .. (id ~= '' and ' id="' .. id .. '"' or '')
        .. (shown and ' data-table="' .. shown .. '"' or '') .. '>\n<figcaption id="' .. caption_id .. '">'),
      pandoc.Plain(linked_label(caption, shown and 'table:' .. shown)), raw_block('</figcaption>'),
      pandoc.Div({ t }, attr('', { 'table-wrap' }, region)), raw_block('</figure>'),
    }
  elseif format == 'typst' then
    if capacity then
      local room = {}
      for number in capacity:gmatch('%d+') do room[#room + 1] = tonumber(number) end
      t = each_cell(t, function(cell, at)
        cell.contents = cell.contents:walk { Str = function(s) return pandoc.Str(breakable(s.text, room[at] or 40)) end }
      end)
    end
    if dense then return { raw_block('#[#set text(size: 7.5pt)'), t, raw_block(']') } end
  end
  return t
end
local function table_float(div)
  local out = pandoc.List {}
  if format == 'typst' then
    out:insert(raw_block('#[#show figure.where(kind: table): set block(breakable: true, below: 0.5em)'))
  end
  for _, block in ipairs(div.content) do
    if block.t == 'Div' and block.classes:includes('table-notes') then
      if format == 'typst' then
        out:insert(raw_block(']#table-notes['))
        out:extend(block.content)
        out:insert(raw_block(']'))
      elseif format == 'docx' then out:insert(styled('Table Notes', block.content))
      else out:insert(block) end
    else out:insert(block) end
  end
  if format == 'html' then return pandoc.Div(out, attr('', { 'table-float' })) end
  return out
end

---------------------------------------------------------------- callouts, pages
local function callout(div)
  local kind = 'note'
  for _, class in ipairs(div.classes) do kind = class:match('^callout%-(%a+)$') or kind end
  if format == 'html' then
    div.attributes.role = 'note'
    return div
  end
  local body = pandoc.List(div.content)
  local title = body:remove(1).content[1].content
  if format == 'typst' then
    local opening = pandoc.List { raw('#callout("' .. kind .. '", [') }
    opening:extend(title)
    opening:insert(raw('])['))
    return pandoc.List { pandoc.Plain(opening) } .. body .. { raw_block(']' .. label(div.identifier)) }
  end
  local out = pandoc.List { styled('Callout Title', { pandoc.Para(title) }) }
  for _, block in ipairs(body) do
    out:insert((block.t == 'Para' or block.t == 'Plain') and styled('Callout', { pandoc.Para(block.content) }) or block)
  end
  out:insert(raw_block('<w:p><w:pPr><w:pStyle w:val="Gap"/></w:pPr></w:p>')) -- or two callouts in a row become one
  return out
end
local function landscape(div)
  if format == 'typst' then
    return pandoc.List { raw_block('#page(flipped: true)[') } .. div.content .. { raw_block(']') }
  elseif format == 'docx' then -- the header and footer of these sections are put in after pandoc has run
    local function section(width, height, orient)
      return raw_block('<w:p><w:pPr><w:pStyle w:val="Gap"/><w:sectPr><w:pgSz w:w="' .. width .. '" w:h="' .. height .. '"' .. orient
        .. '/></w:sectPr></w:pPr></w:p>')
    end
    return pandoc.List { section(11906, 16838, '') } .. div.content
      .. { section(16838, 11906, ' w:orient="landscape"') }
  end
  return div
end
local function page_break()
  if format == 'typst' then return raw_block('#pagebreak(weak: true)') end
  if format == 'docx' then return raw_block('<w:p><w:r><w:br w:type="page"/></w:r></w:p>') end
  return pandoc.Div({}, attr('', { 'page-break' }))
end

---------------------------------------------------------------- references
local function bibliography(div)
  if format ~= 'typst' then return div end
  local out = pandoc.List {}
  for _, entry in ipairs(div.content) do
    local left, right = nil, pandoc.List {}
    for _, inline in ipairs(utils.blocks_to_inlines(entry.content)) do
      if inline.t == 'Span' and inline.classes:includes('csl-left-margin') then left = inline.content
      elseif inline.t == 'Span' and inline.classes:includes('csl-right-inline') then right:extend(inline.content)
      else right:insert(inline) end
    end
    local content = pandoc.List { raw('#bib-entry(' .. (left and '[' or 'none')) }
    if left then
      content:extend(left)
      content:insert(raw(']'))
    end
    content:insert(raw(')['))
    content:extend(right)
    content:insert(raw(']' .. label(entry.identifier)))
    out:insert(pandoc.Para(content))
  end
  return out
end

---------------------------------------------------------------- equations
local function equation(span)
  local math, number = span.content[1], span.attributes.number
  if format == 'typst' then
    return { raw('#numbered-equation("' .. number .. '")['), math, raw(']' .. label(span.identifier)) }
  elseif format == 'html' then
    return pandoc.Span({ math, pandoc.Span({ pandoc.Str('(' .. number .. ')') }, attr('', { 'equation-number' })) },
      attr(span.identifier, { 'equation' }))
  end
  return span
end
-- DOCX: a paragraph of its own, centred and right-aligned by the tabulators of the style "Equation"
local function docx_paragraph(p)
  local out, line = pandoc.List {}, pandoc.List {}
  local function flush()
    while #line > 0 and (line[1].t == 'SoftBreak' or line[1].t == 'Space') do line:remove(1) end
    while #line > 0 and (line[#line].t == 'SoftBreak' or line[#line].t == 'Space') do line:remove(#line) end
    if #line > 0 then out:insert(pandoc.Para(line)) end
    line = pandoc.List {}
  end
  local found = false
  for _, inline in ipairs(p.content) do
    if inline.t == 'Span' and inline.classes:includes('equation') then
      found = true
      flush()
      local tab = raw('<w:r><w:tab/></w:r>')
      out:insert(styled('Equation', { pandoc.Para { tab, pandoc.Span({ pandoc.Math('InlineMath', inline.content[1].text) },
        attr(inline.identifier)), tab, pandoc.Str('(' .. inline.attributes.number .. ')') } }))
    else line:insert(inline) end
  end
  if not found then return nil end
  flush()
  return out
end

---------------------------------------------------------------- title block
local function docx_title(doc)
  local meta, out = doc.meta, pandoc.List {}
  local function plain(key) return meta[key] and stringify(meta[key]) or nil end
  if meta['by-author'] then
    local line = pandoc.List {}
    for i, author in ipairs(meta['by-author']) do
      if i > 1 then line:extend { pandoc.Str(','), pandoc.Space() } end
      line:insert(pandoc.Str(stringify(author.name)))
      if stringify(author.marks) ~= '' then line:insert(pandoc.Superscript { pandoc.Str(stringify(author.marks)) }) end
    end
    out:insert(styled('Author', { pandoc.Para(line) }))
    for _, place in ipairs(meta.affiliations or {}) do
      out:insert(styled('Affiliation', { pandoc.Para { pandoc.Superscript { pandoc.Str(stringify(place.mark)) },
        pandoc.Str(' ' .. stringify(place.name)) } }))
    end
    for _, who in ipairs(meta.correspondence or {}) do
      local line = pandoc.List { pandoc.Str('Correspondence: ' .. stringify(who.name)) }
      if who.email then
        local email = stringify(who.email)
        line:extend { pandoc.Str(','), pandoc.Space(), pandoc.Link({ pandoc.Str(email) }, 'mailto:' .. email) }
      end
      out:insert(styled('Affiliation', { pandoc.Para(line) }))
    end
  end
  if plain('date') then out:insert(styled('Date', { pandoc.Para { pandoc.Str(plain('date')) } })) end
  if meta['synthetic-notice'] then out:extend(meta['synthetic-notice']) end
  if meta.abstract then
    out:insert(styled('Abstract Title', { pandoc.Para { pandoc.Str('Abstract') } }))
    for _, block in ipairs(meta.abstract) do out:insert(styled('Abstract', { block })) end
  end
  if meta.keywords then
    local words = pandoc.List {}
    for i, word in ipairs(utils.type(meta.keywords) == 'List' and meta.keywords or { meta.keywords }) do
      words:insert((i > 1 and ', ' or '') .. stringify(word))
    end
    out:insert(styled('Keywords', { pandoc.Para { pandoc.Strong { pandoc.Str('Keywords:') }, pandoc.Space(), pandoc.Str(table.concat(words)) } }))
  end
  meta.abstract, meta.date, meta['synthetic-notice'] = nil, nil, nil
  doc.blocks = pandoc.Blocks(out .. doc.blocks)
  return doc
end

---------------------------------------------------------------- the passes
local function span(s)
  if s.classes:includes('equation') then return format ~= 'docx' and equation(s) or nil end
  if audit_href and (s.classes:includes('val') or s.classes:includes('meta')) then
    local ard, meta = s.attributes['data-ard'], s.attributes['data-meta']
    if ard then return to_audit(ard, s.content, { { 'data-ard', ard } }) end
    if not meta then return s end
    local attributes = { { 'data-meta', meta } }
    if s.attributes.title then attributes[2] = { 'title', s.attributes.title } end
    return to_audit('meta:' .. meta, s.content, attributes)
  end
  if s.classes:includes('heading-number') and format ~= 'html' then return s.content end
end
local function div(d)
  local c = d.classes
  if c:includes('panel') then return panel(d) end
  if c:includes('table-float') then return table_float(d) end
  if c:includes('callout') then return callout(d) end
  if c:includes('landscape') then return landscape(d) end
  if c:includes('pagebreak') then return page_break() end
  if d.identifier == 'refs' then return bibliography(d) end
end

return {
  { Meta = function(meta)
      audit_href = meta['audit-href'] and stringify(meta['audit-href']) or nil
      meta['audit-href'] = nil
      if format == 'typst' then -- strings of typst, not content, for the document's properties
        local function string_of(x) return pandoc.MetaInlines { raw(quoted(stringify(x))) } end
        for _, author in ipairs(meta['by-author'] or {}) do author.quoted = string_of(author.name) end
        for _, who in ipairs(meta.correspondence or {}) do
          if who.email then who['mail-address'] = string_of('mailto:' .. stringify(who.email)) end
        end
        local words = meta.keywords
        if words and utils.type(words) ~= 'List' then words = pandoc.List { words } end
        if words then meta['quoted-keywords'] = pandoc.MetaList(pandoc.List(words):map(string_of)) end
      end
      return meta
    end },
  { Cite = function(cite) if format ~= 'html' then return cite.content end end },
  { Table = the_table },
  { Div = div, Figure = figure },
  { Image = function(image) if format ~= 'typst' or not image.src:match('%.%w+$') then return with_extension(image) end end,
    Para = format == 'docx' and docx_paragraph or nil },
  { Span = span },
  { Pandoc = function(doc)
      if format == 'docx' then
        doc = docx_title(doc)
        doc.blocks = doc.blocks:walk { Para = docx_paragraph }
      end
      return doc
    end },
}
