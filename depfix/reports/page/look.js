"use strict";
// How the graph looks, in the colours of the page: cytoscape paints on a canvas, which no style sheet reaches.
depfixPage.look = (() => {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  function look(size) {
    const [text, muted, surface, strong, accent] = ["text", "muted", "surface", "strong-border", "accent"].map(colour);
    const node = {
      label: "data(label)", width: "data(width)", height: 30, shape: "round-rectangle", color: text,
      "font-size": size, "font-family": getComputedStyle(document.body).fontFamily, "text-valign": "center", "text-halign": "center",
      "background-color": surface, "border-width": 1.5, "border-color": strong, "min-zoomed-font-size": 5,
    };
    const edge = {
      width: 1.5, "curve-style": "round-segments", "segment-weights": "data(weights)", "segment-distances": "data(distances)", "segment-radii": 24, "edge-distances": "node-position", "line-color": strong, "target-arrow-color": strong, "target-arrow-shape": "triangle", "arrow-scale": 0.9,
      label: "data(label)", "font-size": 10.5, "font-family": node["font-family"], color: muted,
      "text-background-color": surface, "text-background-opacity": 1, "text-background-padding": 2,
    };
    const tone = (state) => ({ "background-color": colour(`${state}-bg`), "border-color": colour(state), color: colour(state), "border-width": 2 });
    return [
      { selector: "node", style: node },
      { selector: "node.program", style: { "background-color": accent, "border-color": accent, color: surface } },
      { selector: "node.module", style: { shape: "round-rectangle", "corner-radius": 15 } },
      { selector: "node.image", style: { "background-color": colour("k-native") } },
      { selector: "node.group", style: { "border-style": "double", "border-width": 4, color: muted } },
      { selector: "node.error", style: tone("error") },
      { selector: "node.warning", style: tone("warning") },
      { selector: "node.info", style: tone("info") },
      { selector: "node.absent", style: { "border-style": "dashed" } },
      { selector: "edge", style: edge },
      { selector: "edge.maybe", style: { "line-style": "dashed" } },
      { selector: ".aside", style: { opacity: 0.55 } },
      { selector: ".faded", style: { opacity: 0.22 } },
      { selector: "node:selected", style: { "border-color": accent, "border-width": 3, "border-style": "solid" } },
      { selector: "node:active", style: { "overlay-opacity": 0.08 } },
    ];
  }

  return look;
})();
