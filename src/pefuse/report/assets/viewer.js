"use strict";
// One viewer for all cases: a scan with its heat, from data that lie in this page. It fetches nothing.
(() => {
  const viewer = document.getElementById("viewer");
  if (!viewer) return;
  const part = (name) => viewer.querySelector(`[data-part="${name}"]`);
  const openers = Array.from(document.querySelectorAll("[data-opens]"));
  const [canvas, stage, heat, opacity, least, choice, told] = ["canvas", "stage", "heat", "opacity", "least", "case", "told"].map(part);
  const sliders = Array.from(viewer.querySelectorAll("[data-axis]"));
  const angles = Array.from(viewer.querySelectorAll("[data-angle]"));
  const TRANSPARENT_BELOW_MINIMUM = 2; // a COLORMAP_TYPE of niivue: colours run from 0, what is colder than the minimum is not drawn
  const NO_CUT = 2; // niivue's depth of a plane that cuts nothing
  const PLANES = { axial: [2], coronal: [1], sagittal: [0], slices: [0, 1, 2], turn: [] }; // axes whose slider is of use

  if (!document.createElement("canvas").getContext("webgl2")) {
    viewer.dataset.state = "impossible"; // the stylesheet shows the line that says so
    return;
  }
  viewer.dataset.state = "closed";

  let scene = null; // niivue's; made when the first case is opened, since it takes graphics memory
  let request = 0; // a case that was asked for later wins

  const chosen = (group) => viewer.querySelector(`input[name="viewer-${group}"]:checked`);
  const dataOf = (kind, study) => document.getElementById(`${kind}-${study}`).textContent.trim();
  const leastHeat = () => 2.55 * Number(least.value); // colder than this is not drawn
  const windowHU = () => chosen("window").value.split(" ").map(Number);

  async function start() {
    const made = new niivue.Niivue({
      isRadiologicalConvention: true,
      sagittalNoseLeft: true,
      isSliceMM: true,
      multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
      showAllOrientationMarkers: true,
      crosshairWidth: 0.25,
      crosshairWidthUnit: "percent",
      crosshairGap: 8,
      crosshairColor: [0.35, 0.75, 1, 0.8],
      clipPlaneColor: [0, 0, 0, 0],
      isClipAllVolumes: true, // so the heat is seen inside
      fontColor: [1, 1, 1, 1],
      show3Dcrosshair: true,
      dragAndDropEnabled: false,
      dragMode: niivue.DRAG_MODE.none,
      viewModeHotKey: "", // the buttons would not know
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      logLevel: "silent",
      loadingText: "",
    });
    await made.attachToCanvas(canvas);
    made.onLocationChange = (place) => showPlace(place.frac);
    made.onAzimuthElevationChange = (azimuth, elevation) => showAngles(azimuth, elevation);
    return made;
  }

  async function open(study) {
    const mine = ++request;
    viewer.dataset.state = "open";
    choice.value = study;
    told.textContent = "Loading …";
    try {
      scene ??= await start();
      const [low, high] = windowHU();
      const ct = await niivue.NVImage.loadFromBase64({ base64: dataOf("ct", study), name: "ct.nii.gz", colormap: "gray", cal_min: low, cal_max: high });
      const overlay = await niivue.NVImage.loadFromBase64({ base64: dataOf("heat", study), name: "heat.nii.gz", colormap: "inferno", cal_min: leastHeat(), cal_max: 255 });
      overlay.colormapType = TRANSPARENT_BELOW_MINIMUM;
      if (mine !== request) return;
      scene.setMultiplanarPadPixels(0);
      for (const old of [...scene.volumes].reverse()) scene.removeVolume(old);
      scene.addVolume(ct);
      scene.addVolume(overlay);
      scene.setMultiplanarPadPixels(16); // else the L of one plane and the A of the next run together; not while empty
      describeSliders(ct);
      const place = hottest(study);
      goTo(place);
      cutAt(place[1]);
      showHeat();
      showView();
      showCase(study);
    } catch {
      told.textContent = "This scan cannot be drawn here. Its still slices are below.";
    }
  }

  function showCase(study) {
    const link = document.createElement("a");
    link.href = `#case-${study}`;
    link.textContent = "To its features and risks";
    told.replaceChildren(`${choice.selectedOptions[0].textContent}. `, link);
  }

  // Where the hottest voxel lies, as fractions along niivue's axes: to the left, to the front, to the head.
  const hottest = (study) => scene.mm2frac(document.getElementById(`heat-${study}`).dataset.hottest.split(" ").map(Number), 0, true);

  function goTo(fractions) {
    fractions.forEach((fraction, axis) => (scene.scene.crosshairPos[axis] = fraction));
    showPlace(fractions);
    scene.drawScene();
  }

  // In 3D the scan is cut from the front to the hottest point.
  function cutAt(front) {
    angles.find((slider) => slider.dataset.angle === "cut").value = Math.round(100 * (1 - front));
  }

  function describeSliders(ct) {
    for (const slider of sliders) slider.max = ct.dimsRAS[Number(slider.dataset.axis) + 1];
  }

  function showPlace(fractions) {
    for (const slider of sliders) {
      const slice = Math.floor(fractions[slider.dataset.axis] * slider.max) + 1;
      slider.value = Math.min(Math.max(slice, 1), slider.max);
      slider.nextElementSibling.textContent = `${slider.value} of ${slider.max}`;
    }
  }

  function showAngles(azimuth, elevation) {
    const shown = { azimuth: ((Math.round(azimuth) % 360) + 360) % 360, elevation: Math.round(elevation) };
    for (const slider of angles) if (slider.dataset.angle in shown) slider.value = shown[slider.dataset.angle];
  }

  function showHeat() {
    opacity.disabled = least.disabled = !heat.checked;
    viewer.style.setProperty("--least", `${least.value}%`); // for the colour scale
    if (scene?.volumes.length !== 2) return;
    scene.volumes[1].cal_min = leastHeat();
    scene.setOpacity(1, heat.checked ? Number(opacity.value) / 100 : 0);
  }

  function showWindow() {
    if (!scene?.volumes.length) return;
    [scene.volumes[0].cal_min, scene.volumes[0].cal_max] = windowHU();
    scene.updateGLVolume();
  }

  function showView() {
    const view = chosen("view").value;
    const types = niivue.SLICE_TYPE;
    const type = { axial: types.AXIAL, coronal: types.CORONAL, sagittal: types.SAGITTAL, slices: types.MULTIPLANAR, turn: types.RENDER }[view];
    for (const slider of sliders) slider.parentElement.hidden = !PLANES[view].includes(Number(slider.dataset.axis));
    for (const slider of angles) slider.parentElement.hidden = view !== "turn";
    viewer.dataset.view = view;
    if (!scene) return;
    scene.setSliceType(type);
    if (view === "turn") turn();
  }

  function turn() {
    const { azimuth, elevation, cut } = Object.fromEntries(angles.map((slider) => [slider.dataset.angle, Number(slider.value)]));
    // Depth 0.5 is the front of the volume, -0.5 its back; 180 degrees looks at it from the front.
    scene.setClipPlane(cut ? [0.5 - cut / 100, 180, 0] : [NO_CUT, 0, 0]);
    scene.setRenderAzimuthElevation(azimuth, elevation);
  }

  for (const opener of openers) {
    opener.hidden = false;
    opener.addEventListener("click", () => {
      viewer.scrollIntoView({ block: "start" });
      open(opener.dataset.opens || choice.value);
    });
  }
  choice.addEventListener("change", () => open(choice.value));
  heat.addEventListener("change", showHeat);
  for (const slider of [opacity, least]) slider.addEventListener("input", showHeat);
  for (const input of viewer.querySelectorAll('[name="viewer-window"]')) input.addEventListener("change", showWindow);
  for (const input of viewer.querySelectorAll('[name="viewer-view"]')) input.addEventListener("change", showView);
  for (const slider of sliders) {
    slider.addEventListener("input", () => {
      const fractions = Array.from(scene.scene.crosshairPos);
      fractions[slider.dataset.axis] = (slider.value - 0.5) / slider.max;
      goTo(fractions);
    });
  }
  for (const slider of angles) slider.addEventListener("input", turn);
  // The wheel turns slices once the picture was clicked; before that it scrolls the page.
  stage.addEventListener("wheel", (event) => { if (document.activeElement !== canvas) event.stopPropagation(); }, { capture: true });
  // A double click would set a window of its own, which the buttons would not know.
  stage.addEventListener("dblclick", (event) => event.stopPropagation(), { capture: true });
  showView();
  showHeat();
})();
