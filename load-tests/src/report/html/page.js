'use strict';
// Shows the values of a chart where the pointer is.
for (const figure of document.querySelectorAll('figure[data-chart]')) {
  const chart = JSON.parse(figure.dataset.chart);
  const svg = figure.querySelector('svg');
  const cursor = svg.querySelector('.cursor');
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  figure.append(tip);

  const nearest = (points, at) => {
    let low = 0;
    let high = points.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] < at) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && at - points[low - 1][0] < points[low][0] - at) low -= 1;
    return points[low];
  };
  const row = (...texts) => {
    const line = document.createElement('div');
    for (const text of texts) {
      const part = document.createElement('span');
      part.textContent = text;
      line.append(part);
    }
    return line;
  };
  const shown = (value) => {
    const digits = Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
    return `${digits} ${chart.unit}`.trim();
  };
  const moment = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

  const move = (event) => {
    const box = svg.getBoundingClientRect();
    const [left, right] = chart.plot;
    const part = ((event.clientX - box.left) / box.width - left) / (right - left);
    if (part < 0 || part > 1) return leave();
    const at = part * chart.seconds;
    const reach = Math.max(chart.seconds / 60, 1.5);
    const rows = [row(moment(at))];
    for (const [label, points] of chart.lines) {
      const point = nearest(points, at);
      const none = !point || Math.abs(point[0] - at) > reach || (chart.layers && point[1] === 0);
      if (!none) rows.push(row(label, shown(point[1])));
    }
    for (const [when, text] of chart.marks) {
      if (Math.abs(when - at) <= chart.seconds / 100) {
        const line = document.createElement('p');
        line.textContent = text;
        rows.push(line);
      }
    }
    tip.replaceChildren(...rows);
    tip.hidden = false;
    const x = event.clientX - box.left;
    const beside = x > box.width / 2 ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.left = `${Math.max(0, Math.min(beside, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${box.top - figure.getBoundingClientRect().top + 24}px`;
    const place = (left + part * (right - left)) * svg.viewBox.baseVal.width;
    cursor.setAttribute('x1', place);
    cursor.setAttribute('x2', place);
    cursor.style.visibility = 'visible';
  };
  const leave = () => {
    tip.hidden = true;
    cursor.style.visibility = 'hidden';
  };
  svg.addEventListener('pointermove', move);
  svg.addEventListener('pointerdown', move);
  svg.addEventListener('pointerleave', leave);
}
