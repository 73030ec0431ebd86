"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  // Elements. Texts of the image are only ever set as text.
  const make = (name, attributes, ...inside) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === false) continue;
      if (key === "class") element.className = value;
      else if (key === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...inside.flat().filter((each) => each !== undefined && each !== null && each !== false));
    return element;
  };
  const drawn = (name, attributes, ...inside) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...inside);
    return element;
  };

  // Units as everywhere in Kiln: powers of 1000, three digits.
  const size = (bytes) => {
    if (bytes === null || bytes === undefined) return "";
    let value = bytes;
    let unit = "B";
    for (const next of ["kB", "MB", "GB", "TB", "PB"]) {
      if (value < 999.5) break;
      value /= 1000;
      unit = next;
    }
    const digits = unit === "B" ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return Number(value.toFixed(digits)) + unit;
  };
  const time = (seconds) => {
    if (seconds < 0.9995) return Math.round(seconds * 1000) + "ms";
    if (seconds < 59.95) return Number(seconds.toFixed(1)) + "s";
    return Math.floor(Math.round(seconds) / 60) + "m" + (Math.round(seconds) % 60) + "s";
  };
  const date = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const share = (part, whole) => (whole ? ((part / whole) * 100).toFixed(1) : "0.0") + " %";
  const count = (number, one, many) => number.toLocaleString("en") + " " + (number === 1 ? one : many);

  const main = document.getElementById("main");
  const sections = document.getElementById("sections");
  const announce = (text) => { document.getElementById("announce").textContent = text; };
  const section = (id, title, ...inside) => {
    sections.append(make("a", { href: "#" + id }, title));
    const element = make("section", { id, "aria-labelledby": id + "-title" }, make("h2", { id: id + "-title" }, title), ...inside);
    main.append(element);
    return element;
  };
  const more = (list, what) =>
    list.count > list.rows.length && make("p", { class: "quiet" }, "and " + count(list.count - list.rows.length, "more " + what, "more " + what + "s"));
  const table = (heads, rows) => {
    const head = heads.map(([text, kind]) => make("th", { scope: "col", class: kind === "num" ? "num" : undefined }, text));
    const body = rows.map((cells) => make("tr", {}, cells.map((cell, at) => make("td", { class: heads[at][1] || undefined, "data-name": heads[at][0] }, cell === "" ? [] : cell))));
    return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, body)));
  };

  // Light, dark, or as the system has it.
  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  const remember = (value) => { try { localStorage.setItem("kiln-theme", value); } catch { /* a page from a file may not */ } };
  const remembered = () => { try { return localStorage.getItem("kiln-theme"); } catch { return null; } };
  const setTheme = (value) => {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    theme.dataset.value = value;
    theme.textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[value];
  };
  setTheme(themes.includes(remembered()) ? remembered() : "auto");
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(theme.dataset.value) + 1) % themes.length];
    setTheme(next);
    remember(next);
  });

  // What it is.
  document.getElementById("name").textContent = data.name;
  const command = [...(data.entrypoint || []), ...(data.command || [])].join(" ");
  document.getElementById("about").textContent = [data.platform, data.system, data.created && "made " + data.created.slice(0, 10), command && "starts " + command]
    .filter(Boolean)
    .join(" · ");
  const failed = data.checks.rows.filter((check) => !check[1]).length;
  const fact = (name, value, note, kind) => make("div", {}, make("dt", {}, name), make("dd", { class: kind }, value, note && make("small", {}, note)));
  section(
    "overview",
    "Overview",
    make(
      "dl",
      { class: "facts" },
      fact("Size", size(data.bytes), count(data.files[2], "file", "files")),
      fact("Compressed", data.compressed === null ? "unknown" : size(data.compressed), data.compressed === null ? "not of every layer" : share(data.compressed, data.bytes) + " of it"),
      fact("Layers", data.layers.length, "user " + (data.user || "root")),
      fact("Dead bytes", size(data.dead), share(data.dead, data.bytes) + ", efficiency as dive counts " + (data.efficiency * 100).toFixed(1) + " %"),
      fact("Packages", data.packages.count.toLocaleString("en")),
      fact("Checks", failed ? failed + " failed" : "passed", data.checks.count + " made", failed ? "bad" : "good"),
    ),
  );

  // Where the bytes are. A tree is [name, bytes, files, children].
  const NAME = 0, BYTES = 1, FILES = 2, INSIDE = 3;
  const layerTree = ["layers", data.bytes, data.layers.reduce((sum, layer) => sum + layer.files[FILES], 0),
    data.layers.map((layer, at) => ["#" + at + " " + layer.text, layer.bytes, layer.files[FILES], layer.files[INSIDE] || []])];
  const trees = { directories: data.files, layers: layerTree };
  const title = (node) => node[NAME] || count(node[FILES], "smaller file", "smaller files");
  const hues = [212, 160, 28, 265, 340, 190, 90, 48, 300, 120];

  // Squarified: rows of tiles whose sides are as alike as can be (Bruls, Huizing, van Wijk).
  const squares = (nodes, left, top, width, height) => {
    const placed = [];
    const sized = nodes.filter((node) => node[BYTES] > 0);
    let total = sized.reduce((sum, node) => sum + node[BYTES], 0);
    let at = 0;
    while (at < sized.length && width > 0.5 && height > 0.5) {
      const side = Math.min(width, height);
      const scale = (width * height) / total;
      let end = at;
      let sum = 0;
      let best = Infinity;
      while (end < sized.length) {
        const grown = sum + sized[end][BYTES];
        const thick = (grown * scale) / side;
        const worst = [sized[at], sized[end]].reduce((most, node) => {
          const long = (node[BYTES] * scale) / thick;
          return Math.max(most, long / thick, thick / long);
        }, 0);
        if (worst > best) break;
        best = worst;
        sum = grown;
        end += 1;
      }
      const thick = (sum * scale) / side;
      let along = 0;
      for (const node of sized.slice(at, end)) {
        const long = (node[BYTES] * scale) / thick;
        placed.push(width >= height
          ? [node, left, top + along, thick, long]
          : [node, left + along, top, long, thick]);
        along += long;
      }
      if (width >= height) { left += thick; width -= thick; } else { top += thick; height -= thick; }
      total -= sum;
      at = end;
    }
    return placed;
  };

  const tiles = make("div", { class: "tiles", role: "group", "aria-label": "Treemap" });
  const list = make("ul", { class: "list", "aria-label": "Contents, by size" });
  const crumbs = make("ol", { class: "crumbs" });
  let way = [];
  let kind = "directories";
  const opens = (node) => node[INSIDE] && node[INSIDE].length > 0;
  const hue = (at) => hues[at % hues.length];
  const go = (to, focus) => {
    way = to;
    show();
    const here = way[way.length - 1];
    announce((way.length > 1 ? title(here) : kind) + ", " + size(here[BYTES]));
    if (focus) (tiles.querySelector(".tile") || crumbs.querySelector("button")).focus({ preventScroll: true });
  };

  const tile = (node, number, left, top, width, height) => {
    const text = title(node) + ", " + size(node[BYTES]) + ", " + count(node[FILES], "file", "files");
    const element = make("button", {
      class: "tile",
      type: "button",
      title: text,
      "aria-label": text + (opens(node) ? ", open" : ""),
      "aria-disabled": !opens(node) && "true",
      tabindex: number === 0 ? "0" : "-1",
      on: { click: () => opens(node) && go([...way, node], true) },
    });
    const place = (element, left, top, width, height) => {
      element.style.left = left + "px";
      element.style.top = top + "px";
      element.style.width = Math.max(width, 1) + "px";
      element.style.height = Math.max(height, 1) + "px";
    };
    place(element, left, top, width, height);
    element.style.setProperty("--hue", way.length > 1 || !opens(node) ? way.hue ?? hue(number) : hue(number));
    const head = height > 34 ? 20 : 0;
    if (opens(node) && width > 40 && height > 40) {
      for (const [child, x, y, w, h] of squares([...node[INSIDE]].sort((a, b) => b[BYTES] - a[BYTES]), 3, head + 1, width - 8, height - head - 6)) {
        if (w < 4 || h < 4) continue;
        const inner = make("i", { "aria-hidden": "true" }, w > 46 && h > 18 ? title(child) : []);
        place(inner, x, y, w, h);
        element.append(inner);
      }
    }
    if (width > 38 && height > 16) element.append(make("span", { class: "label", "aria-hidden": "true" }, make("b", {}, title(node)), " " + size(node[BYTES])));
    return element;
  };

  const show = () => {
    const here = way[way.length - 1];
    const inside = [...(here[INSIDE] || [])];
    if (kind !== "layers" || way.length > 1) inside.sort((a, b) => b[BYTES] - a[BYTES]);
    const bySize = [...inside].sort((a, b) => b[BYTES] - a[BYTES]);
    const box = tiles.getBoundingClientRect();
    tiles.replaceChildren(...squares(bySize, 0, 0, box.width, box.height)
      .filter(([, , , w, h]) => w >= 2 && h >= 2)
      .slice(0, 300)
      .map(([node, x, y, w, h], number) => tile(node, number, x, y, w, h)));
    if (!tiles.children.length) tiles.append(make("p", { class: "label quiet" }, "nothing here has any bytes"));
    crumbs.replaceChildren(...way.map((node, at) => make("li", {}, make("button", {
      type: "button",
      "aria-current": at === way.length - 1 && "location",
      on: { click: () => go(way.slice(0, at + 1), true) },
    }, at === 0 ? (kind === "layers" ? "layers" : "image") : title(node)))));
    crumbs.lastChild.append(make("span", { class: "quiet num" }, size(here[BYTES]) + ", " + count(here[FILES], "file", "files")));
    const most = Math.max(1, ...inside.map((node) => node[BYTES]));
    list.replaceChildren(...inside.slice(0, 100).map((node) => {
      const bar = make("span", {});
      bar.style.width = (node[BYTES] / most) * 100 + "%";
      const row = [make("span", { class: "name", title: title(node) }, title(node)), make("span", { class: "num quiet" }, size(node[BYTES])), make("span", { class: "meter", "aria-hidden": "true" }, bar)];
      return make("li", {}, opens(node)
        ? make("button", { type: "button", on: { click: () => go([...way, node], false) } }, row)
        : make("div", { class: "leaf" }, row));
    }));
  };
  tiles.addEventListener("keydown", (event) => {
    const all = [...tiles.querySelectorAll(".tile")];
    const at = all.indexOf(document.activeElement);
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -all.length, End: all.length };
    if (event.key in steps && at >= 0) {
      const next = all[Math.min(all.length - 1, Math.max(0, at + steps[event.key]))];
      all[at].tabIndex = -1;
      next.tabIndex = 0;
      next.focus({ preventScroll: true });
    } else if ((event.key === "Escape" || event.key === "Backspace") && way.length > 1) {
      go(way.slice(0, -1), true);
    } else return;
    event.preventDefault();
  });
  const choice = make("div", { class: "choice", role: "group", "aria-label": "Treemap of" });
  const choose = (which) => {
    kind = which;
    for (const button of choice.children) button.setAttribute("aria-pressed", button.dataset.kind === which);
    way = [trees[which]];
    show();
  };
  for (const which of ["directories", "layers"]) {
    choice.append(make("button", { type: "button", "data-kind": which, on: { click: () => choose(which) } }, which === "directories" ? "Directories" : "Layers"));
  }
  section("bytes", "Where the bytes are", choice, crumbs, make("div", { class: "map" }, tiles, list),
    make("p", { class: "quiet hint" }, "A directory opens with a click or Enter; arrows go from tile to tile, Escape goes back."));
  choose("directories");
  // Another size is another picture; who is on a tile stays there.
  let pending = 0;
  let pictured = tiles.clientWidth + "x" + tiles.clientHeight;
  const again = () => {
    const now = tiles.clientWidth + "x" + tiles.clientHeight;
    if (now === pictured) return;
    pictured = now;
    const at = [...tiles.children].indexOf(document.activeElement);
    show();
    if (at >= 0 && tiles.children[at]) tiles.children[at].focus({ preventScroll: true });
  };
  new ResizeObserver(() => { cancelAnimationFrame(pending); pending = requestAnimationFrame(again); }).observe(tiles);

  // Layers.
  section("layers", "Layers", table(
    [["#", "num"], ["Size", "num"], ["Compressed", "num"], ["Dead", "num"], ["Instruction", "wide"], ["Made in", "short"]],
    data.layers.map((layer, at) => [at, size(layer.bytes), size(layer.compressed), layer.dead ? make("span", { class: "warn" }, size(layer.dead)) : "", make("code", {}, layer.text || "unknown"), layer.made || ""]),
  ));

  // Waste.
  const of = (layer) => "#" + layer + (data.layers[layer] ? " " + data.layers[layer].text.slice(0, 60) : "");
  section("waste", "Waste", make("p", {}, size(data.dead) + " of " + size(data.bytes) + " are dead: an upper layer deleted, hid or replaced them (" + share(data.dead, data.bytes) + ")."),
    data.waste.count ? table(
      [["Bytes", "num"], ["Files", "num"], ["What", ""], ["Where", "wide"], ["Layers", "wide"], ["Change", "wide"]],
      data.waste.rows.slice(0, 60).map((row) => [
        size(row.bytes), row.files.toLocaleString("en"), make("span", { class: row.dead ? "bad" : undefined }, row.what), make("code", {}, row.place),
        make("span", {}, of(row.layer), row.other !== null && make("span", { class: "quiet" }, ", then " + of(row.other))), make("span", { class: "quiet" }, row.change),
      ])) : make("p", { class: "good" }, "Nothing is wasted that is known of."),
    data.waste.count > 60 && make("p", { class: "quiet" }, "and " + (data.waste.count - 60) + " more: kiln waste shows all"));

  // The build.
  if (data.build && data.build.steps.rows.length) {
    const steps = data.build.steps.rows;
    const end = Math.max(0.001, ...steps.map(([, , began, took]) => began + took));
    const gantt = make("div", { class: "gantt" });
    const axis = make("div", { class: "axis", "aria-hidden": "true" });
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const mark = make("span", {}, part ? time(end * part) : "0");
      mark.style.left = part * 100 + "%";
      axis.append(mark);
    }
    gantt.append(make("div", { class: "blank" }), axis);
    const stages = new Map();
    for (const step of steps) {
      const found = /^\[(?:(.*) )?\d+\/\d+\] (.*)$/.exec(step[0]);
      const stage = found ? found[1] || "the only stage" : "sources and results";
      if (!stages.has(stage)) stages.set(stage, []);
      stages.get(stage).push([found ? found[2] : step[0], ...step.slice(1)]);
    }
    for (const [stage, all] of stages) {
      gantt.append(make("div", { class: "stage" }, stage));
      for (const [name, outcome, began, took] of all) {
        const bar = make("span", { class: outcome });
        bar.style.left = (began / end) * 100 + "%";
        bar.style.width = (took / end) * 100 + "%";
        const label = make("em", {}, outcome === "cached" ? "cached" : time(took) + (outcome === "done" ? "" : " " + outcome));
        const behind = (began + took) / end;
        if (behind < 0.8) label.style.left = behind * 100 + "%";
        else if (began / end > 0.2) { label.style.right = (1 - began / end) * 100 + "%"; }
        else label.style.right = "0";
        gantt.append(make("div", { class: "step mono", title: name }, name), make("div", { class: "track", role: "img", "aria-label": outcome + ", began after " + time(began) + ", took " + time(took) }, bar, label));
      }
    }
    section("build", "Build", make("p", { class: "quiet" }, "Build " + data.build.id + ", " + date(data.build.started) + ", " + time(end) + (data.build.later ? "; build " + data.build.later + " made the same image again" : "") + "."), gantt,
      make("div", { class: "key", "aria-hidden": "true" }, make("span", {}, "ran"), make("span", { class: "cached" }, "cached"), make("span", { class: "failed" }, "failed")),
      more(data.build.steps, "step"));
  }

  // Sizes over builds.
  if (data.trend.rows.length) {
    const points = data.trend.rows;
    const width = 720, height = 190, left = 60, bottom = 24, top = 12;
    const most = Math.max(1, ...points.map((point) => point[2])) * 1.08;
    const x = (at) => left + (points.length === 1 ? (width - left - 12) / 2 : (at / (points.length - 1)) * (width - left - 12));
    const y = (bytes) => height - bottom - (bytes / most) * (height - bottom - top);
    const chart = drawn("svg", { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": "Size of the image, build by build" });
    for (const part of [0, 0.5, 1]) {
      const at = y((most / 1.08) * part);
      chart.append(drawn("line", { class: "grid", x1: left, x2: width, y1: at, y2: at }),
        drawn("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, size(Math.round((most / 1.08) * part))));
    }
    chart.append(drawn("polyline", { class: "curve", points: points.map((point, at) => x(at) + "," + y(point[2])).join(" ") }));
    points.forEach(([build, started, bytes], at) => {
      chart.append(drawn("circle", { cx: x(at), cy: y(bytes), r: 4 }, drawn("title", {}, "build " + build + ", " + date(started) + ": " + size(bytes))));
      if (points.length <= 12 || at === 0 || at === points.length - 1) chart.append(drawn("text", { x: x(at), y: height - 6, "text-anchor": at === 0 && points.length > 1 ? "start" : at === points.length - 1 && points.length > 1 ? "end" : "middle" }, "build " + build));
    });
    const rows = points.map(([build, started, bytes], at) => {
      const change = at ? bytes - points[at - 1][2] : 0;
      return [build, date(started), size(bytes), at ? (change < 0 ? "-" : change > 0 ? "+" : "") + size(Math.abs(change)) : ""];
    });
    section("trend", "Size over builds", chart, make("details", {}, make("summary", {}, "as a table"), table([["Build", "num"], ["When", ""], ["Size", "num"], ["Change", "num"]], rows)));
  }

  // Packages.
  const packages = data.packages.rows;
  const body = make("div", {});
  const found = make("p", { class: "quiet" });
  const search = make("input", { type: "search", placeholder: "Find a package", "aria-label": "Find a package" });
  const most = 200;
  const look = () => {
    const wanted = search.value.trim().toLowerCase();
    const rows = packages.filter(([type, name, version, , , license]) => (type + " " + name + " " + version + " " + license).toLowerCase().includes(wanted));
    body.replaceChildren(table([["Type", ""], ["Name", "wide"], ["Version", ""], ["Size", "num"], ["License", ""], ["Layer", "num"]],
      rows.slice(0, most).map(([type, name, version, bytes, layer, license]) => [type, name, make("code", {}, version), size(bytes), license || "unknown", "#" + layer])));
    found.textContent = rows.length > most ? most + " of " + rows.length + " are shown" : count(rows.length, "package", "packages");
  };
  search.addEventListener("input", look);
  section("packages", "Packages", data.unread.map((text) => make("p", { class: "warn" }, text)),
    packages.length ? [search, body, found, more(data.packages, "package")] : make("p", { class: "quiet" }, "None that are known of."));
  if (packages.length) look();

  // Known vulnerabilities, where there is a database of them.
  if (data.vulnerabilities) {
    const { found, undecided, uncovered } = data.vulnerabilities;
    const list = (all) => [
      table([["Name", ""], ["Severity", ""], ["Package", "wide"], ["Fixed in", ""], ["Layer", "num"]], all.rows.map(([id, severity, name, version, fixed, layer, summary]) => [
        make("code", {}, id), severity, make("span", {}, name + " " + version, summary && make("span", { class: "quiet" }, make("br", {}), summary)),
        make("code", {}, fixed || ""), "#" + layer])),
      more(all, "finding")];
    section("vulnerabilities", "Known vulnerabilities",
      uncovered.map((kind) => make("p", { class: "warn" }, "The database has no record of " + kind + ": nothing is known of these packages.")),
      found.count ? list(found) : make("p", { class: "quiet" }, "None in the database."),
      undecided.count > 0 && make("details", {}, make("summary", {}, "It cannot be told whether packages have " + count(undecided.count, "more", "more")), ...list(undecided)));
  }

  // Checks.
  section("checks", "Checks", table(
    [["", ""], ["Check", ""], ["What was found", "wide"]],
    data.checks.rows.map(([check, passed, message, mend]) => [
      make("b", { class: passed ? "good" : "bad" }, passed ? "PASS" : "FAIL"), check,
      make("span", {}, message, mend && make("span", { class: "quiet" }, make("br", {}), mend)),
    ])), more(data.checks, "check"));
  main.append(make("footer", {}, "Kiln, " + date(data.reported) + ". Sizes are unpacked, in powers of 1000."));
})();
