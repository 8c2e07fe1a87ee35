"use strict";
// Theme: the system's choice until the reader makes one; then it is remembered where the browser allows it.
const root = document.documentElement;
const stored = (() => { try { return localStorage.getItem("theme"); } catch (error) { return null; } })();
if (stored) root.dataset.theme = stored;
addEventListener("DOMContentLoaded", () => {
  const toggle = document.getElementById("theme");
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { console.info("theme is not remembered:", error.message); }
  });
  const fold = document.getElementById("fold");
  if (fold) {
    fold.hidden = false;
    fold.addEventListener("click", () => {
      const open = fold.getAttribute("aria-pressed") !== "true";
      fold.setAttribute("aria-pressed", open);
      document.querySelectorAll("details.code").forEach((part) => { part.open = open; });
    });
  }
  // Figures open in a dialog; without a script the link shows the file.
  const dialog = document.createElement("dialog");
  dialog.innerHTML = "<form method=dialog><button autofocus>close</button></form><img><p></p>";
  document.body.append(dialog);
  document.querySelectorAll("a.zoom").forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    const shown = link.querySelector("img");
    dialog.querySelector("img").src = link.href;
    dialog.querySelector("img").alt = shown.alt;
    dialog.querySelector("p").textContent = shown.alt;
    dialog.showModal();
  }));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const search = document.getElementById("search");
  if (!search) return;
  // The board: papers are shown if group, verdict and every word of the search fit.
  const papers = [...document.querySelectorAll("article.paper")];
  const state = { group: "", verdict: "" };
  const apply = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const paper of papers) {
      const text = paper.textContent.toLowerCase() + " " + (WORDS[paper.id] || "");
      const fits = (!state.group || paper.dataset.group === state.group) &&
        (!state.verdict || paper.dataset.verdicts.split(",").includes(state.verdict)) && wanted.every((word) => text.includes(word));
      paper.hidden = !fits;
      count += fits;
    }
    document.getElementById("count").textContent = `${count} of ${papers.length} papers`;
  };
  document.querySelectorAll(".controls button[data-filter]").forEach((button) => button.addEventListener("click", () => {
    const { filter, value } = button.dataset;
    state[filter] = value;
    document.querySelectorAll(`.controls button[data-filter=${filter}]`).forEach((other) => other.setAttribute("aria-pressed", other === button));
    apply();
  }));
  search.addEventListener("input", apply);
  document.querySelector(".controls").hidden = false;
  apply();
});
