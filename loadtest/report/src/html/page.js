(() => {
  document.body.classList.add('js');
  const all = (root, what) => [...root.querySelectorAll(what)];

  // Tabs: one of several plots.
  all(document, '.tabs').forEach(tabs => {
    const chips = all(tabs, '.chips button'), pages = all(tabs, '.tab');
    const show = at => chips.forEach((chip, n) => {
      chip.setAttribute('aria-pressed', n === at);
      pages[n].classList.toggle('on', n === at);
    });
    chips.forEach((chip, at) => chip.onclick = () => show(at));
    show(0);
  });

  // Plots: the legend shows and hides, and reads out what is under the pointer in every plot over the same axis.
  const plots = all(document, '.plot').map(root => {
    const data = JSON.parse(root.querySelector('script').textContent);
    const buttons = all(root, '.legend button');
    buttons.forEach(button => button.onclick = () => {
      const on = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', on);
      root.querySelector(`path[data-s="${button.dataset.s}"]`).classList.toggle('off', !on);
    });
    const plot = {
      axis: data.t.join(),
      canvas: root.querySelector('.canvas'),
      nearest(at) {
        let low = 0, high = data.x.length - 1;
        while (low < high) {
          const middle = (low + high) >> 1;
          if ((data.x[middle] + data.x[Math.min(middle + 1, high)]) / 2 < at) low = middle + 1; else high = middle;
        }
        return low;
      },
      read(n) {
        const cross = root.querySelector('.cross');
        cross.hidden = n === undefined || !data.x.length;
        root.querySelector('.when').textContent = cross.hidden ? '' : data.t[n];
        if (!cross.hidden) cross.style.left = data.x[n] * 100 + '%';
        buttons.forEach((button, s) => {
          button.querySelector('b').textContent = cross.hidden ? '' : data.s[s][n] ?? '–';
        });
      },
    };
    return plot;
  });
  plots.forEach(plot => {
    const same = plots.filter(other => other.axis === plot.axis);
    plot.canvas.onpointermove = plot.canvas.onpointerdown = event => {
      const box = plot.canvas.getBoundingClientRect();
      const n = plot.nearest((event.clientX - box.left) / box.width);
      same.forEach(other => other.read(n));
    };
    plot.canvas.onpointerleave = () => same.forEach(other => other.read());
  });
})();
