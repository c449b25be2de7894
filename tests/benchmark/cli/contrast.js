// The texts of the page whose contrast with what is behind them is below WCAG AA's 4.5, as "element text: ratio".
() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour, under) => {
    paint.fillStyle = under; paint.fillRect(0, 0, 1, 1);
    paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (value) => (value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => linear(value / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (node) => {
    const chain = [];
    for (let each = node; each; each = each.parentElement) chain.unshift(getComputedStyle(each).backgroundColor);
    return chain.reduce((under, colour) => `rgb(${rgb(colour, under).join(' ')})`, 'white');
  };
  const weak = [];
  for (const node of document.querySelectorAll('main *, header *, nav *, footer *')) {
    const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || node instanceof SVGElement || node.closest('.hidden') || !node.checkVisibility()) continue;
    const back = behind(node);
    const [a, b] = [light(rgb(getComputedStyle(node).color, back)), light(rgb(back, 'white'))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) weak.push(`${node.tagName}.${node.className} ${node.textContent.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  for (const node of document.querySelectorAll('input[placeholder]')) {
    if (!node.checkVisibility()) continue;
    const back = behind(node);
    const [a, b] = [light(rgb(getComputedStyle(node, '::placeholder').color, back)), light(rgb(back, 'white'))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) weak.push(`placeholder ${node.placeholder}: ${((a + .05) / (b + .05)).toFixed(2)}`);
  }
  return weak;
}
