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
const draft = (task) => drafts[task.dataset.task] ||=
  {comment: '', answers: [], edit: '', edited: '', looking: false, bad_label: false, right_answer: ''};
const answerOf = (task, side) => {
  const shown = task.querySelectorAll('.fr-answers > .fr-answer')[side === 'left' ? 0 : 1].querySelector('div');
  return shown.querySelector('.fr-quiet') ? '' : shown.textContent;
};

// Votes without an answer outlive the page: a server that comes back has it loaded anew, and then they are sent.
const drawer = () => `votes ${box().dataset.session} ${box().dataset.rater}`;
const keep = () => sessionStorage.setItem(drawer(), JSON.stringify(pending));
let restored = '';
const restore = () => {
  if (restored === drawer()) return;
  restored = drawer();
  try { pending.push(...JSON.parse(sessionStorage.getItem(drawer()) || '[]')); }
  catch { sessionStorage.removeItem(drawer()); }
};

const draw = () => {
  const now = current(), whole = box();
  if (!whole) return;
  for (const task of tasks()) {
    const kept = draft(task);
    task.hidden = task !== now;
    for (const field of task.querySelectorAll('textarea'))
      if (field.value !== kept[field.name]) field.value = kept[field.name];
    for (const each of task.querySelectorAll('[data-edit]'))
      each.setAttribute('aria-pressed', String(kept.edited === each.dataset.edit));
    task.querySelector('[data-editing]').hidden = !kept.edited;
    const label = task.querySelector('[data-label]');
    if (label) {
      label.setAttribute('aria-expanded', String(kept.looking));
      task.querySelector('[data-labelling]').hidden = !kept.looking;
      task.querySelector('[data-wrong]').setAttribute('aria-pressed', String(kept.bad_label));
      task.querySelector('[data-righting]').hidden = !kept.bad_label;
    }
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
  const {comment, answers, edit, edited, bad_label, right_answer} = draft(task);
  const more = {edit: edited ? edit : '', edited, bad_label, right_answer: bad_label ? right_answer : ''};
  const seconds = (performance.now() - since) / 1000, said = [...answers].map((each) => each || '');
  pending.push({token: task.dataset.task, kind, comment, answers: said, seconds, ...more});
  typing = null;
  keep(); draw(); pump();
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
  } else if (button.closest('[data-more]')) more(button);
  else if (button.dataset.do) act(button);
});
// What a rater may say beside the vote. Nothing of it is there until it is asked for.
const more = (button) => {
  const task = button.closest('[data-task]'), kept = draft(task), side = button.dataset.edit;
  let field = null;
  if (side) {
    const again = kept.edited === side;
    kept.edited = again ? '' : side;
    kept.edit = again ? '' : answerOf(task, side);
    if (!again) field = 'edit';
  } else if ('label' in button.dataset) {
    kept.looking = !kept.looking;
    if (!kept.looking) { kept.bad_label = false; kept.right_answer = ''; }
  } else if ('wrong' in button.dataset) {
    kept.bad_label = !kept.bad_label;
    if (kept.bad_label) field = 'right_answer';
  }
  draw();
  if (field) task.querySelector(`textarea[name=${field}]`).focus(); else button.blur();
};
element.addEventListener('input', (event) => {
  const task = event.target.closest('[data-task]');
  if (task && event.target.name in draft(task)) draft(task)[event.target.name] = event.target.value;
});
element.addEventListener('focusin', (event) => {
  const task = event.target.matches('textarea') && event.target.closest('[data-task]');
  typing = task ? {task: task.dataset.task, field: event.target.name} : null;
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
  const go = element.querySelector('[data-go] a');
  if (go) location.assign(go.href);
  if (!whole) {
    pending.length = 0; batch = restored = shown = ''; undoing = false; later = typing = null;
    return;
  }
  restore();
  if (whole.dataset.batch === batch) {
    pending.splice(0, sent);
    keep();
    if (undoSent) { undoing = false; shown = ''; }
    batch = '';
  }
  draw();
  const here = typing && current() && current().dataset.task === typing.task;
  const field = here && current().querySelector(`textarea[name=${typing.field}]`);
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
.fr-more { margin: 10px 0 0; } .fr-more .fr-field { margin: 8px 0 0; } .fr-more .fr-answer { margin: 8px 0 0; }
.fr-joining input { display: block; width: 100%; max-width: 420px; box-sizing: border-box; font: inherit; padding: 9px 12px; border: 1px solid var(--fr-line); border-radius: 8px; background: var(--input-background-fill); color: var(--body-text-color); }
.fr-far { margin: 12px 0 0; }
.fr-far .fr-bar { margin: 6px 0; }
"""  # noqa: E501
"""For the ``css_template`` of the same component."""
