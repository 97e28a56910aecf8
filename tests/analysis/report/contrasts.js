// Contrast of texts on their ground; of the hottest cell's, on the deepest colour of the scale.
(() => {
const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
const solid = (layers) => {
  for (const one of layers) { context.fillStyle = one; context.fillRect(0, 0, 1, 1) }
  const pixel = [...context.getImageData(0, 0, 1, 1).data];
  const linear = pixel.slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const ratio = (node, layers) => {
  const text = getComputedStyle(node).color;
  const [low, high] = [solid(layers), solid([...layers, text])].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const ground = getComputedStyle(document.body).backgroundColor;
const heat = document.querySelector("#transfer td.heat");
heat.style.setProperty("--share", 1);
const hot = getComputedStyle(heat).backgroundColor;
return [
  ...["h1", ".lead", ".lead small", "header p", ".stamps a", ".contents a", "h3",
  "thead th", ".quiet .value", "td small",
      ".note", ".caveats b", ".caveats li", ".caveats ul li", "summary", "footer p"]
    .map((name) => [name, ratio(document.querySelector(name), [ground])]),
  ["heat", ratio(heat, [ground, hot])],
  ["heat small", ratio(heat.querySelector("small"), [ground, hot])],
];
})()
