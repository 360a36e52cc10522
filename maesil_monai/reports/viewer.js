"use strict";
// A viewer of superpatches: original, hidden patches, reconstruction and difference, in three planes.
// Volumes stand in the page (see viewer_data.py) and are unpacked when they are first shown.
(() => {
  const COLUMNS = ["original", "hidden patches", "reconstruction", "difference"];
  const HIDDEN_TINT = [0x33, 0x45, 0x5e];
  const frame = document.getElementById("viewer");
  const source = document.getElementById("viewer-index");
  if (!frame || !source || typeof DecompressionStream === "undefined") return;
  const index = JSON.parse(source.textContent);
  const palette = differencePalette(index.stops);
  const unpacked = new Map();
  const state = { case: 0, model: 0, window: 0, place: [0, 0, 0], volumes: null };
  const rows = [];

  function differencePalette(stops) {
    const colours = stops.map((stop) => [1, 3, 5].map((at) => parseInt(stop.slice(at, at + 2), 16)));
    return Array.from({ length: 255 }, (_, place) => {
      const at = (place / 254) * (colours.length - 1);
      const first = Math.min(Math.floor(at), colours.length - 2);
      return colours[first].map((part, channel) => part + (at - first) * (colours[first + 1][channel] - part));
    });
  }

  function bytesOf(base64) {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  }

  // Gives the levels of one stored volume; the same promise for the same volume.
  function levels(number, place) {
    const id = `volume-${number}-${place}`;
    if (!unpacked.has(id)) unpacked.set(id, inflate(bytesOf(document.getElementById(id).textContent)));
    return unpacked.get(id);
  }

  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer());
    const count = planes.length / 2;
    const values = new Uint16Array(count);
    let value = 0;
    for (let at = 0; at < count; at++) {
      value = (value + planes[at] + 256 * planes[count + at]) & 0xffff;
      values[at] = value;
    }
    return values;
  }

  function hiddenVoxels(entry) {
    const bits = bytesOf(entry.hidden);
    const [depth, height, width] = entry.shape;
    const [down, across] = [entry.grid[1], entry.grid[2]];
    const patch = entry.shape.map((size, axis) => size / entry.grid[axis]);
    const hidden = new Uint8Array(depth * height * width);
    let at = 0;
    for (let i = 0; i < depth; i++)
      for (let j = 0; j < height; j++)
        for (let k = 0; k < width; k++) {
          const token = (Math.floor(i / patch[0]) * down + Math.floor(j / patch[1])) * across + Math.floor(k / patch[2]);
          hidden[at++] = (bits[token >> 3] >> (7 - (token & 7))) & 1;
        }
    return hidden;
  }

  async function load() {
    const wanted = [state.case, state.model];
    const entry = index.cases[state.case];
    const [original, predicted] = await Promise.all([levels(state.case, 0), levels(state.case, state.model + 1)]);
    if (wanted[0] !== state.case || wanted[1] !== state.model) return; // another choice came in between
    const hidden = hiddenVoxels(entry);
    const made = Uint16Array.from(original);
    for (let at = 0, next = 0; at < made.length; at++) if (hidden[at]) made[at] = predicted[next++];
    state.volumes = { original, hidden, made, shape: entry.shape };
    draw();
    frame.dataset.ready = wanted.join("-");
  }

  // The patient's right on the left, front and head up: both axes of a slice run against the picture's.
  function voxelAt(axis, row, column) {
    const shape = state.volumes.shape;
    const [across, up] = [0, 1, 2].filter((other) => other !== axis);
    const place = [...state.place];
    place[across] = shape[across] - 1 - column;
    place[up] = shape[up] - 1 - row;
    return place;
  }

  function flat(place) {
    const shape = state.volumes.shape;
    return (place[0] * shape[1] + place[1]) * shape[2] + place[2];
  }

  function hu(volume, at) {
    return index.start + index.step * volume[at];
  }

  function draw() {
    if (!state.volumes) return;
    for (const row of rows) drawRow(row);
    const at = flat(state.place);
    const { original, hidden, made } = state.volumes;
    const difference = hu(made, at) - hu(original, at);
    readout.textContent =
      `voxel ${state.place.join(", ")}: original ${hu(original, at)} HU, ` +
      (hidden[at] ? `reconstruction ${hu(made, at)} HU, difference ${difference > 0 ? "+" : ""}${difference} HU` : "visible");
  }

  function drawRow(row) {
    const { original, hidden, made, shape } = state.volumes;
    const [, width, level] = index.windows[state.window];
    const [across, up] = [0, 1, 2].filter((other) => other !== row.axis);
    const spacing = index.cases[state.case].spacing;
    const strides = [shape[1] * shape[2], shape[2], 1];
    const slice = state.place[row.axis] * strides[row.axis];
    row.slider.max = shape[row.axis] - 1;
    row.slider.value = state.place[row.axis];
    row.label.textContent = `${row.plane} ${state.place[row.axis] + 1} / ${shape[row.axis]}`;
    row.box.style.setProperty("--x", `${(100 * (shape[across] - 0.5 - state.place[across])) / shape[across]}%`);
    row.box.style.setProperty("--y", `${(100 * (shape[up] - 0.5 - state.place[up])) / shape[up]}%`);
    row.pictures.forEach((canvas, column) => {
      canvas.width = shape[across];
      canvas.height = shape[up];
      canvas.style.aspectRatio = `${shape[across] * spacing[across]} / ${shape[up] * spacing[up]}`;
      canvas.setAttribute("aria-label", `${COLUMNS[column]}, ${row.plane} slice ${state.place[row.axis] + 1}`);
      const context = canvas.getContext("2d");
      const image = context.createImageData(canvas.width, canvas.height);
      for (let y = 0, out = 0; y < canvas.height; y++)
        for (let x = 0; x < canvas.width; x++, out += 4) {
          const at = slice + (shape[up] - 1 - y) * strides[up] + (shape[across] - 1 - x) * strides[across];
          const shown = hu(column > 1 ? made : original, at);
          let colour;
          if (column === 3) {
            const part = Math.max(-1, Math.min(1, (shown - hu(original, at)) / (width / 2)));
            colour = palette[Math.round(127 + 127 * part)];
          } else if (column === 1 && hidden[at]) {
            colour = HIDDEN_TINT;
          } else {
            const grey = 255 * Math.max(0, Math.min(1, (shown - level) / width + 0.5));
            colour = [grey, grey, grey];
          }
          image.data.set([...colour, 255], out);
        }
      context.putImageData(image, 0, 0);
    });
  }

  function go(axis, slice) {
    const last = index.cases[state.case].shape[axis] - 1;
    state.place[axis] = Math.max(0, Math.min(last, slice));
    draw();
  }

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function choice(label, names, chosen) {
    const select = element("select", { id: `viewer-${label}` });
    fill(select, names);
    select.addEventListener("change", () => chosen(select.selectedIndex));
    return [element("label", { for: select.id }, label, select), select];
  }

  function fill(select, names) {
    select.replaceChildren(...names.map((name) => element("option", {}, name)));
  }

  function buildRow([plane, axis, letters]) {
    const slider = element("input", { type: "range", min: 0, "aria-label": `${plane} slice` });
    const label = element("span", { class: "slice" });
    const pictures = COLUMNS.map(() => element("canvas", { role: "img" }));
    const figures = pictures.map((canvas, column) => {
      const sides = [...letters].map((letter, side) => element("span", { class: `side side${side}`, "aria-hidden": "true" }, letter));
      const figure = element("figure", {}, element("div", { class: "picture" }, canvas, ...sides), element("figcaption", {}, COLUMNS[column]));
      canvas.addEventListener("pointerdown", (event) => {
        const box = canvas.getBoundingClientRect();
        const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        if (!state.volumes) return;
        state.place = voxelAt(axis, Math.min(canvas.height - 1, Math.floor(y * canvas.height)), Math.min(canvas.width - 1, Math.floor(x * canvas.width)));
        draw();
      });
      return figure;
    });
    const pair = element("div", { class: "views", tabindex: 0, role: "group", "aria-label": `${plane} plane; arrow keys go through the slices` }, ...figures);
    const box = element("div", { class: "plane" }, element("div", { class: "bar" }, label, slider), pair);
    slider.addEventListener("input", () => go(axis, Number(slider.value)));
    pair.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (!steps || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      go(axis, state.place[axis] + steps);
    });
    // Only where the pictures have the focus: else the page could not be scrolled past the viewer.
    pair.addEventListener("wheel", (event) => {
      if (!pair.contains(document.activeElement) || event.ctrlKey || !event.deltaY) return;
      event.preventDefault();
      go(axis, state.place[axis] - Math.sign(event.deltaY));
    }, { passive: false });
    rows.push({ plane, axis, slider, label, pictures, box });
    return box;
  }

  function chooseCase(number) {
    const before = index.cases[state.case].models[state.model];
    state.case = number;
    const models = index.cases[number].models;
    fill(modelSelect, models);
    state.model = Math.max(0, models.indexOf(before));
    modelSelect.selectedIndex = state.model;
    state.place = [...index.cases[number].center];
    show();
  }

  function show() {
    load().catch((error) => {
      frame.dataset.ready = "failed";
      readout.textContent = `The volume could not be unpacked: ${error.message}`;
    });
  }

  function choosePlane(number) {
    rows.forEach((row, place) => { row.box.hidden = number < index.planes.length && place !== number; });
  }

  const readout = element("p", { class: "readout", role: "status" });
  const [caseLabel] = choice("case", index.cases.map((entry) => entry.name), chooseCase);
  const [modelLabel, modelSelect] = choice("model", index.cases[0].models, (number) => { state.model = number; show(); });
  const [windowLabel] = choice("window", index.windows.map(([name, width, level]) => `${name} (${width}, ${level})`), (number) => { state.window = number; draw(); });
  const [planeLabel, planeSelect] = choice("plane", [...index.planes.map(([name]) => name), "all three"], choosePlane);
  const cross = element("input", { type: "checkbox", id: "viewer-cross", checked: "" });
  cross.addEventListener("change", () => frame.classList.toggle("cross", cross.checked));
  const crossLabel = element("label", { for: "viewer-cross", class: "check" }, cross, "cross-hairs");
  frame.replaceChildren(element("div", { class: "controls" }, caseLabel, modelLabel, windowLabel, planeLabel, crossLabel), ...index.planes.map(buildRow), readout);
  const kept = index.step > 1 ? `To keep this page small, values are rounded to ${index.step} HU` : "";
  const cut = index.left_out ? `cases left out: ${index.left_out}` : "";
  if (kept || cut) frame.append(element("p", { class: "limits" }, [kept, cut].filter(Boolean).join("; ") + "."));
  frame.classList.add("cross");
  const narrow = window.matchMedia("(max-width: 700px)").matches;
  planeSelect.selectedIndex = narrow ? 0 : index.planes.length;
  choosePlane(planeSelect.selectedIndex);
  chooseCase(0);
})();
