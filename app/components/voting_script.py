"""What the page of blind votes does in the browser: keys, the next item at once, and votes sent one batch at a time.

It knows no arms and decides nothing: the server takes each vote by its token, and the same vote twice counts once.
"""

from __future__ import annotations

SCRIPT = """
const keys = {arrowleft: 'left', arrowright: 'right', t: 'tie', b: 'both_bad', s: 'skip'};
const pending = [], drafts = {};   // votes without an answer of the server; what stands in fields that were not sent
let sent = 0, batch = '', undoing = false, undoSent = false, later = null, typing = null, shown = '', since = 0;
const box = () => element.querySelector('[data-voting]');
const tasks = () => [...element.querySelectorAll('[data-task]')];
const current = () => tasks().find((task) => !pending.some((vote) => vote.token === task.dataset.task));
const draft = (task) => drafts[task.dataset.task] ||= {comment: '', answers: []};

const draw = () => {
  const now = current(), whole = box();
  if (!whole) return;
  for (const task of tasks()) {
    const kept = draft(task), field = task.querySelector('textarea');
    task.hidden = task !== now;
    if (field.value !== kept.comment) field.value = kept.comment;
    for (const each of task.querySelectorAll('[data-answer]'))
      each.setAttribute('aria-pressed', String(kept.answers[each.dataset.question] === each.dataset.answer));
  }
  const waiting = whole.querySelector('[data-waiting]');
  if (waiting) waiting.hidden = Boolean(now);
  for (const button of whole.querySelectorAll('[data-vote]')) button.disabled = !now || undoing;
  whole.querySelector('[data-undo]').disabled = undoing || Number(whole.dataset.done) + pending.length === 0;
  const done = Number(whole.dataset.done) + pending.length;
  whole.querySelector('[data-count]').textContent = done;
  whole.querySelector('.fr-bar span').style.width = `${100 * done / Math.max(1, Number(whole.dataset.of))}%`;
  if (now && now.dataset.task !== shown) { shown = now.dataset.task; since = performance.now(); }
};

const pump = () => {
  const whole = box();
  if (batch || !whole || !(pending.length || undoing)) return;
  const {session, rater} = whole.dataset, votes = JSON.stringify(pending);
  const done = String(Number(whole.dataset.done) + pending.length);
  batch = `${Date.now()}-${Math.random()}`; sent = pending.length; undoSent = undoing;
  deliver({do: undoing ? 'undo' : 'vote', session, rater, votes, done, batch}, 50);
};
// Gradio drops an event while it handles another one, and a server may be away: so the same is sent until it is
// answered. A vote counts once, and a vote is taken back only where there are as many as there were (done).
const deliver = (data, wait) => {
  if (batch !== data.batch || !element.isConnected) return;
  trigger('submit', {data, fields: {}});
  setTimeout(() => deliver(data, Math.min(2 * wait, 8000)), wait);
};

const vote = (kind) => {
  const task = current();
  if (!task || undoing) return;
  const {comment, answers} = draft(task), seconds = (performance.now() - since) / 1000;
  pending.push({token: task.dataset.task, kind, comment, answers: [...answers].map((each) => each || ''), seconds});
  typing = null;
  draw(); pump();
};
const undo = () => {
  if (!undoing && Number(box().dataset.done) + pending.length) { undoing = true; draw(); pump(); }
};
const act = (button) => {
  const fields = {}, form = button.closest('[data-form]');
  if (form) for (const field of form.querySelectorAll('[name]')) fields[field.name] = field.value;
  const asked = {data: {...button.dataset}, fields};
  if (batch) later = asked; else trigger('submit', asked);
};

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button || !element.contains(button) || button.disabled) return;
  if (button.dataset.vote) vote(button.dataset.vote);
  else if ('undo' in button.dataset) undo();
  else if (button.dataset.answer) {
    const {answers} = draft(button.closest('[data-task]')), at = button.dataset.question;
    answers[at] = answers[at] === button.dataset.answer ? '' : button.dataset.answer;
    draw();
  } else if (button.dataset.do) act(button);
});
element.addEventListener('input', (event) => {
  const task = event.target.closest('[data-task]');
  if (task) draft(task).comment = event.target.value;
});
element.addEventListener('focusin', (event) => {
  const task = event.target.matches('textarea') && event.target.closest('[data-task]');
  typing = task ? task.dataset.task : null;
});
element.addEventListener('focusout', (event) => {
  const field = event.target;  // a field that is drawn anew loses the focus too, and shall have it back
  setTimeout(() => { if (field.isConnected && document.activeElement !== field) typing = null; }, 0);
});

const pressed = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', pressed);
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !element.offsetParent) return;
  const field = event.target.closest && event.target.closest('input, textarea, select, [contenteditable=true]');
  if (field && element.contains(field)) {
    if (event.key === 'Escape') field.blur();
    const form = event.key === 'Enter' && field.matches('input') && field.closest('[data-form]');
    if (form) act(form.querySelector('[data-enter]'));
  }
  if (field || !box()) return;
  const key = event.key.toLowerCase();
  if (keys[key]) vote(keys[key]); else if (key === 'u') undo(); else return;
  event.preventDefault();
};
document.addEventListener('keydown', pressed);

const settle = () => {
  const whole = box(), place = element.querySelector('[data-address]');
  if (place) history.replaceState(history.state, '', place.dataset.address);
  if (!whole) { pending.length = 0; batch = ''; undoing = false; later = null; typing = null; shown = ''; return; }
  if (whole.dataset.batch === batch) {
    pending.splice(0, sent);
    if (undoSent) { undoing = false; shown = ''; }
    batch = '';
  }
  draw();
  const field = typing && current() && current().dataset.task === typing && current().querySelector('textarea');
  if (field && document.activeElement !== field) { field.focus(); field.selectionStart = field.value.length; }
  if (batch) return;
  if (pending.length || undoing) pump();
  else if (later) { const asked = later; later = null; trigger('submit', asked); }
};
watch('value', settle);
settle();
"""
"""For the ``js_on_load`` of the component that `app.components.voting` fills."""

STYLE = """
[hidden] { display: none !important; }
.fr-answer div { max-height: 46vh; }
.fr-ways { display: flex; flex-wrap: wrap; gap: 8px; margin: 14px 0 0; }
.fr-ways kbd { font: inherit; font-size: 12px; border: 1px solid var(--fr-line); border-radius: 5px; padding: 1px 6px; margin-right: 6px; background: var(--fr-soft); color: var(--fr-quiet); }
.fr-ask { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 8px 0 0; font-size: 14px; }
.fr-ask span { flex: 1 1 220px; overflow-wrap: anywhere; }
button[aria-pressed=true] { border-color: var(--fr-accent) !important; box-shadow: inset 0 0 0 1px var(--fr-accent) !important; }
.fr-said { margin: 12px 0 0; }
.fr-joining input { display: block; width: 100%; max-width: 420px; box-sizing: border-box; font: inherit; padding: 9px 12px; border: 1px solid var(--fr-line); border-radius: 8px; background: var(--input-background-fill); color: var(--body-text-color); }
.fr-far { margin: 12px 0 0; }
.fr-far .fr-bar { margin: 6px 0; }
"""  # noqa: E501
"""For the ``css_template`` of the same component."""
