"use strict";
// Draws the dependency graph. What is drawn, and which parts are gathered in groups, was decided when the page was made.
(() => {
  const { data, say, all, byId } = depfixPage;
  const picture = data.picture;
  if (!picture || typeof cytoscape !== "function") return;
  const { items, lines, routes } = picture;
  const MOST = 300; // nodes at a time
  const TRIES_BOTH = 90; // up to so many nodes both directions are laid out, and the better one is taken
  const FONT = 12;
  const LEGIBLE = 0.6; // zoom
  const opened = new Set(); // groups whose parts are drawn
  const frame = byId("graph-frame");
  const panel = byId("node");
  const what = byId("graph-what");
  let graph = null;
  let focused = null; // number of the finding whose way is shown alone
  let before = null; // what had the keyboard before the panel was opened

  const isGroup = (item) => item.count > 1;
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- what is drawn ---

  function visible() {
    if (focused !== null) return new Set([...routes[focused], ...askers(routes[focused])]);
    const shown = new Set(picture.overview);
    for (const group of opened) {
      shown.delete(group);
      for (const member of items[group].members) shown.add(member);
    }
    return shown;
  }

  // Who else needs the end of a way, as far as it is in the picture.
  function askers(route) {
    const end = route[route.length - 1];
    return lines.filter((line) => line[1] === end && !route.includes(line[0])).map((line) => line[0]).slice(0, 4);
  }

  function label(item) {
    if (!isGroup(item)) return item.label;
    const name = `name.${item.name}` in data.words.en ? say(`name.${item.name}`) : item.name;
    return say(`group.${item.kind}`, item.count.toLocaleString(), shorten(name));
  }

  const shorten = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);

  function kindClass(item) {
    if (isGroup(item)) return item.kind === "missing" ? "group absent" : "group";
    if (item.kind === "missing" || item.kind.startsWith("no ")) return "absent";
    return item.kind === "program" || item.kind === "module" || item.kind === "image" ? item.kind : "other";
  }

  const ruler = document.createElement("canvas").getContext("2d");

  function elements() {
    const shown = visible();
    const route = focused === null ? [] : routes[focused];
    ruler.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
    const nodes = Array.from(shown, (number) => {
      const item = items[number];
      const text = label(item);
      const classes = `${kindClass(item)} ${item.state} ${route.length && !route.includes(number) ? "aside" : ""}`;
      return { group: "nodes", classes, data: { id: `n${number}`, number, label: text, width: ruler.measureText(text).width + 22 } };
    });
    const edges = lines
      .filter((line) => shown.has(line[0]) && shown.has(line[1]) && isWanted(line, route))
      .map((line) => {
        const [source, target, words, sure, count] = line;
        const said = focused === null ? "" : say(`edge.${words}`) + (count > 1 ? ` ×${count}` : "");
        const aside = route.length && !isStep(line, route) ? "aside" : "";
        return { group: "edges", classes: `${sure ? "" : "maybe"} ${aside}`, data: { id: `e${source}-${target}`, source: `n${source}`, target: `n${target}`, label: said } };
      });
    return [...nodes, ...edges];
  }

  const isStep = (line, route) => route.indexOf(line[1]) === route.indexOf(line[0]) + 1 && route.includes(line[0]);

  function isWanted(line, route) {
    return !route.length || isStep(line, route) || (line[1] === route[route.length - 1] && !route.includes(line[0]));
  }

  // --- where ---

  function arranged(parts, direction) {
    const plan = new dagre.graphlib.Graph();
    plan.setGraph({ rankdir: direction, nodesep: direction === "TB" ? 18 : 12, ranksep: focused === null ? 44 : 52, marginx: 8, marginy: 8 });
    for (const part of parts) {
      if (part.group === "nodes") plan.setNode(part.data.id, { width: part.data.width, height: 30 });
    }
    for (const part of parts) {
      if (part.group === "edges") plan.setEdge(part.data.source, part.data.target, {});
    }
    dagre.layout(plan);
    const { width, height } = plan.graph();
    const box = byId("canvas").getBoundingClientRect();
    return { plan, zoom: Math.min(box.width / width, box.height / height) };
  }

  function best(parts) {
    const box = byId("canvas").getBoundingClientRect();
    const usual = box.width > box.height * 1.6 ? "LR" : "TB";
    if (parts.filter((part) => part.group === "nodes").length > TRIES_BOTH) return arranged(parts, usual).plan;
    const [one, other] = ["TB", "LR"].map((direction) => arranged(parts, direction));
    return (one.zoom >= other.zoom ? one : other).plan;
  }

  function redraw() {
    if (!graph) return;
    const parts = elements();
    const plan = best(parts);
    for (const part of parts) {
      if (part.group === "nodes") {
        const spot = plan.node(part.data.id);
        part.position = { x: spot.x, y: spot.y };
      }
    }
    for (const part of parts) if (part.group === "edges") bend(part.data, plan);
    graph.batch(() => {
      graph.elements().remove();
      graph.add(parts);
    });
    fit();
    tell();
  }

  // The layout leads lines around nodes; cytoscape wants such points relative to the straight line.
  function bend(edge, plan) {
    const [from, to] = [plan.node(edge.source), plan.node(edge.target)];
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(dx, dy) || 1;
    const points = plan.edge(edge.source, edge.target).points.slice(1, -1);
    edge.weights = points.map(({ x, y }) => ((x - from.x) * dx + (y - from.y) * dy) / length ** 2).join(" ") || "0.5";
    edge.distances = points.map(({ x, y }) => ((y - from.y) * dx - (x - from.x) * dy) / length).join(" ") || "0";
  }

  // What cannot be read at a glance begins with one way that can.
  function begin() {
    redraw();
    const first = routes.findIndex((route, number) => route.length && depfixPage.cards[number]?.dataset.severity !== "info");
    if (focused === null && graph.zoom() < LEGIBLE && first >= 0) {
      focused = first;
      redraw();
    }
  }

  function fit() {
    graph.resize();
    graph.fit(undefined, 18);
    if (graph.zoom() > 1.15) {
      graph.zoom(1.15);
      graph.center();
    }
  }

  function tell() {
    byId("graph-all").hidden = focused === null && !opened.size;
    if (focused === null) {
      const values = JSON.parse(what.firstElementChild?.dataset.values || "[]");
      what.firstElementChild.textContent = say("graph.drawn", ...values);
    } else {
      const route = routes[focused];
      what.firstElementChild.textContent = say("graph.focus", items[route[route.length - 1]].label);
    }
  }

  // --- one node ---

  function show(number) {
    const item = items[number];
    const near = graph.$id(`n${number}`).closedNeighborhood();
    graph.elements().addClass("faded");
    near.removeClass("faded");
    before = document.activeElement;
    panel.replaceChildren(head(item), kind(item), ...facts(number));
    panel.hidden = false;
    panel.scrollTop = 0;
    if (graph.zoom() < LEGIBLE) graph.viewport({ zoom: 0.9, pan: panTo(number, 0.9) });
    uncover(number);
  }

  function panTo(number, level) {
    const [spot, box] = [graph.$id(`n${number}`).position(), byId("canvas").getBoundingClientRect()];
    return { x: box.width / 2 - spot.x * level, y: box.height / 3 - spot.y * level };
  }

  // Move the picture if the panel is over the node.
  function uncover(number) {
    const [spot, cover] = [graph.$id(`n${number}`).renderedBoundingBox(), panel.getBoundingClientRect()];
    const box = byId("canvas").getBoundingClientRect();
    const [left, top] = [cover.left - box.left, cover.top - box.top];
    if (spot.x2 > left && spot.y2 > top) graph.panBy({ x: 0, y: Math.max(top - spot.y2 - 12, 12 - spot.y1) });
  }

  function hide() {
    if (panel.hidden) return false;
    panel.hidden = true;
    graph.elements().removeClass("faded").unselect();
    if (before && before.isConnected && panel.contains(document.activeElement)) before.focus();
    return true;
  }

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function button(text, action, className = "quiet") {
    const made = make("button", className, text);
    made.type = "button";
    made.addEventListener("click", action);
    return made;
  }

  function head(item) {
    const top = make("div", "top");
    top.append(make("p", "name", isGroup(item) ? label(item) : item.name), button(say("node.close"), hide));
    return top;
  }

  function kind(item) {
    return make("p", "muted", say(isGroup(item) && item.kind === "missing" ? "kind.group.missing" : `kind.${item.kind}`));
  }

  function facts(number) {
    const item = items[number];
    if (isGroup(item)) return groupFacts(number);
    const about = routes.flatMap((route, finding) => (route[route.length - 1] === number ? [finding] : []));
    return [
      ...(about.length ? [make("h3", "", say("node.findings")), list(about.slice(0, 6).map(findingLink))] : []),
      ...needs("node.needed_by", item.by, item.allBy),
      ...needs("node.needs", item.needs, item.allNeeds),
    ];
  }

  function findingLink(finding) {
    const card = byId(`finding-${finding}`);
    return button(card.querySelector(".tags .code").textContent, () => {
      enlarge(false);
      depfixPage.reveal(finding);
    }, "link");
  }

  function needs(key, rows, count) {
    if (!rows.length) return [];
    const shown = rows.map(([name, words, place]) => {
      const row = make("span");
      const named = make("bdi", "path", name);
      const said = make("span", "muted", say(`edge.${words}`));
      row.append(...(key === "node.needs" ? [said, " ", named] : [named, " ", said]));
      if (place) row.append(make("span", "muted path", ` (${place})`));
      return row;
    });
    if (count > rows.length) shown.push(say("node.more", (count - rows.length).toLocaleString()));
    return [make("h3", "", say(key, count.toLocaleString())), list(shown)];
  }

  function groupFacts(number) {
    const item = items[number];
    const names = item.names.map((name) => make("bdi", "path", name));
    if (item.count > names.length) names.push(say("node.more", (item.count - names.length).toLocaleString()));
    const open = item.members.length ? [button(say("node.open", item.count), () => unfold(number))] : [];
    return [...open, make("h3", "", say("node.parts", item.count.toLocaleString())), list(names)];
  }

  function list(parts) {
    const made = make("ul");
    made.append(...parts.map((part) => {
      const row = make("li");
      row.append(part);
      return row;
    }));
    return made;
  }

  function unfold(group) {
    if (visible().size + items[group].count > MOST) {
      panel.append(make("p", "", say("node.full")));
      return;
    }
    focused = null;
    opened.add(group);
    hide();
    redraw();
  }

  // --- what the reader does ---

  function focus(finding) {
    if (!routes[finding] || !routes[finding].length) return;
    focused = finding;
    for (const card of all(".card.focused")) card.classList.remove("focused");
    byId(`finding-${finding}`)?.classList.add("focused");
    if (!graph) return;
    hide();
    redraw();
  }

  function whole() {
    focused = null;
    opened.clear();
    for (const card of all(".card.focused")) card.classList.remove("focused");
    hide();
    redraw();
  }

  function enlarge(large) {
    if (frame.classList.contains("large") === large) return;
    frame.classList.toggle("large", large);
    const words = byId("graph-enlarge");
    words.setAttribute("aria-pressed", String(large));
    words.firstElementChild.dataset.words = large ? "graph.shrink" : "graph.enlarge";
    words.firstElementChild.textContent = say(words.firstElementChild.dataset.words);
    if (graph) redraw();
  }

  function zoom(factor) {
    const box = byId("canvas").getBoundingClientRect();
    const level = graph.zoom() * factor;
    const centre = { x: box.width / 2, y: box.height / 2 };
    if (still()) graph.zoom({ level, renderedPosition: centre });
    else graph.animate({ zoom: { level, renderedPosition: centre }, duration: 120 });
  }

  function wheel(event) {
    if (!event.ctrlKey && !frame.classList.contains("large")) return; // the page is to scroll
    event.preventDefault();
    const box = byId("canvas").getBoundingClientRect();
    const spot = { x: event.clientX - box.left, y: event.clientY - box.top };
    graph.zoom({ level: graph.zoom() * Math.exp(-event.deltaY * 0.002), renderedPosition: spot });
  }

  function start() {
    if (graph) return;
    graph = cytoscape({
      container: byId("canvas"), style: depfixPage.look(FONT), layout: { name: "preset" },
      minZoom: 0.08, maxZoom: 3, boxSelectionEnabled: false, autoungrabify: false,
      userZoomingEnabled: matchMedia("(pointer: coarse)").matches,
    });
    graph.on("tap", "node", (event) => show(event.target.data("number")));
    graph.on("tap", (event) => { if (event.target === graph) hide(); });
    byId("canvas").addEventListener("wheel", wheel, { passive: false });
    begin();
  }

  byId("graph-all").addEventListener("click", whole);
  byId("graph-in").addEventListener("click", () => zoom(1.35));
  byId("graph-out").addEventListener("click", () => zoom(1 / 1.35));
  byId("graph-fit").addEventListener("click", () => fit());
  byId("graph-enlarge").addEventListener("click", () => enlarge(!frame.classList.contains("large")));
  document.addEventListener("depfix-open", (event) => focus(event.detail));
  document.addEventListener("depfix-theme", () => graph?.style(depfixPage.look(FONT)));
  document.addEventListener("depfix-language", () => { hide(); redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => graph?.style(depfixPage.look(FONT)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !graph || event.target.id === "search") return;
    if (hide()) return;
    if (frame.classList.contains("large")) enlarge(false);
    else if (focused !== null) whole();
  });
  document.addEventListener("click", (event) => {
    const shower = event.target.closest("button[data-finding]");
    if (!shower) return;
    start();
    focus(Number(shower.dataset.finding));
    byId("graph").scrollIntoView({ block: "start" });
    byId("graph").focus({ preventScroll: true });
  });
  new ResizeObserver(() => graph && fit()).observe(byId("canvas"));
  addEventListener("beforeprint", start);
  // Drawn when it comes into view, so that a long page opens at once.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(start));
  }, { rootMargin: "200px" }).observe(byId("canvas"));
  depfixPage.graph = {
    items,
    isDrawn: () => graph !== null,
    nodes: () => graph.nodes().map((node) => node.data("label")),
    focused: () => focused,
    tap: (number) => { graph.$id(`n${number}`).emit("tap"); },
  };
})();
