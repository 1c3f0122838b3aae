//! The curves as SVG, written by hand. On white, so that it can be read in a dark page too.

use std::fmt::{self, Write};

use super::{
    axis::{Axis, binary, decades, decimal, marks},
    curves::Panel,
};
use crate::peers::Peer;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 400.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 322.0;
const LEFT: f64 = 62.0;
const GAP: f64 = 46.0;

const LINES: [(Peer, &str); 2] = [(Peer::Floor, "#8a8f98"), (Peer::Ours, "#c2410c")];

/// The panels side by side, with `under` below them.
pub fn draw(panels: &[Panel], under: &str) -> String {
    let mut svg = Svg::new();
    svg.text(LEFT, 24.0, "start", 17, "Calls per second as the work grows");
    let mut x = LEFT;
    for (peer, colour) in LINES {
        svg.line(colour, 2.5, [(x, 42.0), (x + 26.0, 42.0)].into_iter());
        svg.text(x + 33.0, 46.0, "start", 13, peer.title());
        x += 120.0;
    }
    let each = (WIDTH - LEFT - 16.0 - GAP * (panels.len() - 1) as f64) / panels.len() as f64;
    for (index, panel) in panels.iter().enumerate() {
        let left = LEFT + index as f64 * (each + GAP);
        svg.panel(panel, (left, left + each));
    }
    svg.text(LEFT, HEIGHT - 14.0, "start", 11, under);
    svg.finish()
}

struct Svg(String);

impl Svg {
    fn new() -> Self {
        let mut svg = Self(String::new());
        svg.put(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" role="img">"#
        ));
        svg.put(format_args!(
            "<title>Calls per second against calls in flight, connections and payload</title>"
        ));
        svg.put(format_args!(r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##));
        svg
    }

    fn panel(&mut self, Panel { title, points }: &Panel, (left, right): (f64, f64)) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let rates = points.iter().flat_map(|point| LINES.map(|(peer, _)| point.rate(peer)));
        let range = decades(rates);
        let across = Axis::new((first.size as f64, last.size as f64), (left, right));
        let up = Axis::new(range, (BOTTOM, TOP));

        for mark in marks(range) {
            let y = up.place(mark);
            let is_power = mark.log10().fract() == 0.0;
            let colour = if is_power { "#c8ccd2" } else { "#eceef1" };
            self.line(colour, 1.0, [(left, y), (right, y)].into_iter());
            self.text(left - 6.0, y + 4.0, "end", 11, &decimal(mark));
        }
        // As many sizes as can be read beside each other.
        for point in points.iter().step_by(points.len().div_ceil(6)) {
            let x = across.place(point.size as f64);
            self.line("#eceef1", 1.0, [(x, BOTTOM), (x, TOP)].into_iter());
            self.text(x, BOTTOM + 17.0, "middle", 11, &binary(point.size as f64));
        }
        self.text((left + right) / 2.0, BOTTOM + 38.0, "middle", 12, title);

        for (peer, colour) in LINES {
            let places: Vec<_> = points
                .iter()
                .map(|point| (across.place(point.size as f64), up.place(point.rate(peer))))
                .collect();
            self.line(colour, 2.5, places.iter().copied());
            for (x, y) in places {
                self.put(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#));
            }
        }
    }

    fn line(&mut self, colour: &str, width: f64, places: impl Iterator<Item = (f64, f64)>) {
        let places: Vec<_> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.put(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}"/>"#,
            places.join(" ")
        ));
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, size: u32, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.put(format_args!(
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="#24292f">{text}</text>"##
        ));
    }

    fn put(&mut self, element: fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("memory takes everything");
    }

    fn finish(mut self) -> String {
        self.put(format_args!("</svg>"));
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{super::panels, *};

    #[test]
    fn every_point_of_both_lines_is_drawn_within_the_frame() {
        let mut panels = panels(4);
        for point in panels.iter_mut().flat_map(|panel| &mut panel.points) {
            point.add(Peer::Floor, 1000.0 + point.size as f64);
            point.add(Peer::Ours, 900.0);
        }
        let svg = draw(&panels, "2 cores of A & B");
        let circles: Vec<_> = svg.lines().filter(|line| line.starts_with("<circle")).collect();
        assert_eq!(circles.len(), 2 * (6 + 6 + 9));
        for circle in circles {
            let number =
                |name| circle.split(name).nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
            let (x, y) = (number("cx=\""), number("cy=\""));
            assert!((LEFT..=WIDTH).contains(&x) && (TOP..=BOTTOM).contains(&y), "{circle}");
        }
        assert!(svg.contains("2 cores of A &amp; B") && svg.ends_with("</svg>\n"));
    }
}
