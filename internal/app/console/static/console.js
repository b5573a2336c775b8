// Live update and keys. Every page works without this file.
"use strict";
(() => {
  const main = () => document.getElementById("main");
  const typing = () => {
    const a = document.activeElement;
    return a && (a.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(a.tagName));
  };
  const changedForm = () => [...main().querySelectorAll("input, select, textarea")].some((e) => e.type !== "hidden" && e.value !== (e.tagName === "SELECT" ? ([...e.options].find((o) => o.defaultSelected) || e.options[0]).value : e.defaultValue));

  // morph makes one element like another and keeps what a person has: the focus, open details,
  // the place in a list.
  const key = (n) => (n.nodeType === 1 ? n.tagName + "#" + (n.dataset.key || n.id || "") : n.nodeType);
  function morph(from, to) {
    if (from.nodeType !== 1) {
      if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
      return;
    }
    for (const a of [...from.attributes]) if (!to.hasAttribute(a.name) && a.name !== "open" && a.name !== "class" || a.name === "class" && !to.hasAttribute("class")) from.removeAttribute(a.name);
    for (const a of to.attributes) if (a.name !== "open" && from.getAttribute(a.name) !== a.value) from.setAttribute(a.name, a.value);
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(from.tagName)) return;
    const keyed = new Map();
    for (const n of from.childNodes) if (n.nodeType === 1 && n.dataset.key) keyed.set(n.dataset.key, n);
    let at = from.firstChild;
    for (const want of [...to.childNodes]) {
      let have = want.nodeType === 1 && want.dataset.key ? keyed.get(want.dataset.key) : at && !(at.nodeType === 1 && at.dataset.key) && key(at) === key(want) ? at : null;
      if (!have) {
        from.insertBefore(document.importNode(want, true), at);
        continue;
      }
      if (have === at) at = at.nextSibling;
      else from.insertBefore(have, at);
      morph(have, want);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  // keepBack keeps new rows out of a list that somebody reads, because they would push it away. They are
  // counted above it.
  function keepBack(page) {
    const table = "#newer ~ table tbody, #newer ~ .scroll tbody";
    const have = main().querySelector(table), fresh = page.querySelector(table);
    if (!have || !fresh || !(scrollY > 0 || have.matches(":hover") || have.contains(document.activeElement))) return;
    const ofRuns = (body) => [...body.rows].filter((r) => !r.classList.contains("day"));
    const now = new Map(ofRuns(fresh).map((r) => [r.dataset.key, r])), known = new Set(ofRuns(have).map((r) => r.dataset.key));
    const n = [...now.keys()].findIndex((k) => known.has(k)), count = n < 0 ? now.size : n;
    if (!count) return;
    const kept = have.cloneNode(true);
    for (const r of ofRuns(kept)) if (now.has(r.dataset.key)) morph(r, now.get(r.dataset.key));
    fresh.replaceWith(page.adoptNode(kept));
    const newer = page.getElementById("newer");
    newer.hidden = false;
    newer.querySelector("a").textContent = newer.dataset[new Intl.PluralRules(document.documentElement.lang).select(count)].replace("%s", count);
  }

  // Live: the server says that something has changed, and the page reads itself again.
  const live = document.getElementById("live");
  let source, waiting = false, busy = false, again, have = "";
  const say = (word) => { if (live) live.textContent = live.dataset[word]; };

  // What a page shows stays on it while the database or the server is away. It says so, and tries
  // again.
  const away = document.getElementById("away");
  function gone(what) {
    say("stale");
    const at = document.querySelector("footer time");
    if (away && at && !away.dataset.reload) {
      const text = away.dataset[what] + " " + at.textContent;
      if (away.textContent !== text) away.textContent = text;
      away.hidden = false;
    }
    clearTimeout(again);
    again = setTimeout(refresh, 5000);
  }
  function back() {
    if (!away) return;
    if (away.dataset.reload) location.reload();
    away.hidden = true;
    clearTimeout(again);
  }
  // changed says that the server has sent a change. Then all open pages share one look.
  let pending = false;
  async function refresh(changed) {
    if (!live && !(away && away.dataset.reload)) return; // a plan would be made again
    if (busy) {
      pending = pending || changed === true;
      return;
    }
    if (typing() && changedForm() || String(getSelection())) {
      waiting = true; // until the person is done
      return;
    }
    waiting = false;
    busy = true;
    try {
      const r = await fetch(location.href, {headers: {"X-Live": changed === true ? "changed" : "1", "X-Have": have}, cache: "no-store", redirect: "manual"});
      if (r.type === "opaqueredirect" || r.status === 401) {
        if (away && away.dataset.reload) location.reload();
        source && source.close();
        clearTimeout(reopen);
        back();
        say("ended");
        return;
      }
      if (r.status >= 500) {
        gone(r.headers.get("X-Away") || "server");
        return;
      }
      back();
      if (!r.ok) {
        say("stale");
        return;
      }
      if (live && r.headers.get("X-Mark")) live.dataset.mark = r.headers.get("X-Mark");
      const foot = document.querySelector("footer time");
      if (r.status === 204) { // nothing that the page shows has changed
        if (foot) foot.textContent = r.headers.get("X-As-Of");
        say("live");
        return;
      }
      have = r.headers.get("X-Digest") || "";
      const page = new DOMParser().parseFromString(await r.text(), "text/html");
      const before = document.querySelector("header .n"), fresh = page.querySelector("header .n");
      const nav = document.querySelector("header nav"), newNav = page.querySelector("header nav");
      if (nav && newNav) morph(nav, newNav);
      keepBack(page);
      morph(main(), page.getElementById("main"));
      document.title = page.title;
      const newFoot = page.querySelector("footer time");
      if (foot && newFoot) morph(foot, newFoot);
      const status = document.getElementById("status");
      const n = (e) => Number(e && e.dataset.n || 0);
      if (status && n(fresh) > n(before)) status.textContent = fresh.textContent;
      say("live");
      document.dispatchEvent(new CustomEvent("live"));
    } catch {
      gone("server");
    } finally {
      busy = false;
      if (pending) {
        pending = false;
        refresh(true);
      }
    }
  }
  let reopen, lost = false;
  function open() {
    if (!live || source || document.hidden) return;
    source = new EventSource("/live?since=" + encodeURIComponent(live.dataset.mark || ""));
    source.addEventListener("changed", () => refresh(true));
    source.onopen = () => {
      if (lost) refresh(); // it may have missed a change
      else say("live");
      lost = false;
    };
    source.onerror = () => {
      say("stale");
      lost = true;
      if (source && source.readyState === 2) {
        source.close();
        source = null;
        clearTimeout(reopen);
        reopen = setTimeout(open, 5000);
      }
      refresh(); // its answer says what is wrong
    };
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source && source.close();
      source = null;
    } else {
      open();
      refresh();
    }
  });
  document.addEventListener("focusout", () => { if (waiting) setTimeout(refresh, 300); });
  addEventListener("pagehide", () => { source && source.close(); source = null; });
  if (away && (!away.hidden || away.dataset.reload)) again = setTimeout(refresh, 5000);
  open();

  // Keys.
  const off = () => localStorage.getItem("keys") === "off";
  let prefix = "", timer;
  const links = {p: "/portals", r: "/runs", f: "/runs?state=parked&group=cause", e: "/events", l: "/rules", w: "/why", a: "/audit"};
  const rows = () => [...main().querySelectorAll("tbody tr:not(.day)")].filter((r) => r.querySelector("a"));
  function step(by) {
    const all = rows(), at = all.findIndex((r) => r.contains(document.activeElement));
    const next = all[Math.min(Math.max(at < 0 && by < 0 ? 0 : at + by, 0), all.length - 1)];
    if (next) (next.querySelector("a.main") || next.querySelector("a")).focus();
  }
  // n and p go through the list from which this page was opened.
  const target = (row) => (row.querySelector("a.main") || row.querySelector("a")).getAttribute("href");
  addEventListener("pagehide", () => {
    const list = rows().map(target);
    if (list.length) sessionStorage.setItem("list", JSON.stringify(list));
  });
  function neighbour(by) {
    const kind = location.pathname.split("/")[1];
    const list = JSON.parse(sessionStorage.getItem("list") || "[]").filter((to) => to.split("/")[1] === kind);
    const at = list.indexOf(location.pathname);
    if (at >= 0 && list[at + by]) location.href = list[at + by];
  }
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || typing() || off()) return;
    if (prefix === "g") {
      prefix = "";
      if (links[e.key]) location.href = links[e.key];
      return;
    }
    switch (e.key) {
      case "g":
        prefix = "g";
        clearTimeout(timer);
        timer = setTimeout(() => { prefix = ""; }, 1500);
        break;
      case "j": step(1); break;
      case "k": step(-1); break;
      case "n": neighbour(1); break;
      case "p": neighbour(-1); break;
      case "[": case "]": {
        const link = main().querySelector(e.key === "]" ? "a[rel=next]" : "a[rel=prev]");
        if (link) location.href = link.href;
        break;
      }
      case "/": {
        const field = main().querySelector("input[type=search]") || main().querySelector("form.filters input");
        if (field) {
          field.focus();
          e.preventDefault();
        }
        break;
      }
      case "e": {
        const error = main().querySelector("li.bad, .note.bad");
        if (error) {
          error.tabIndex = -1;
          error.focus();
          error.scrollIntoView({block: "center"});
        }
        break;
      }
      case "o": {
        const all = [...main().querySelectorAll("details")], open = all.some((d) => !d.open);
        for (const d of all) d.open = open;
        break;
      }
      case "?": location.href = "/keys"; break;
    }
  });
  const toggle = document.getElementById("keys-toggle");
  if (toggle) {
    const show = () => { toggle.textContent = off() ? toggle.dataset.on : toggle.dataset.off; };
    toggle.hidden = false;
    show();
    toggle.addEventListener("click", () => {
      localStorage.setItem("keys", off() ? "on" : "off");
      show();
    });
  }
})();
