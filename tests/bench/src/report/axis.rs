//! A logarithmic axis: numbers to places, and the numbers that are written beside it.

pub struct Axis {
    from: f64,
    to: f64,
    /// Where `from` and `to` lie in the drawing.
    places: (f64, f64),
}

impl Axis {
    pub fn new((from, to): (f64, f64), places: (f64, f64)) -> Self {
        Self { from: from.ln(), to: to.ln(), places }
    }

    pub fn place(&self, value: f64) -> f64 {
        let share = (value.ln() - self.from) / (self.to - self.from);
        self.places.0 + share * (self.places.1 - self.places.0)
    }
}

/// From a power of ten below all `values` to one above.
pub fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) =
        values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
    (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil()))
}

/// 1, 2 and 5 times the powers of ten between the two.
pub fn marks((from, to): (f64, f64)) -> impl Iterator<Item = f64> {
    let powers = (0..12).map(|power| 10f64.powi(power));
    powers.flat_map(|power| [power, 2.0 * power, 5.0 * power]).filter(move |mark| (from..=to).contains(mark))
}

/// `50 k`, `2 M`.
pub fn decimal(value: f64) -> String {
    scaled(value, 1000.0, ["", " k", " M"])
}

/// `64`, `4 Ki`, `1 Mi`.
pub fn binary(value: f64) -> String {
    scaled(value, 1024.0, ["", " Ki", " Mi"])
}

fn scaled(mut value: f64, by: f64, units: [&str; 3]) -> String {
    let mut unit = 0;
    while value >= by && unit + 1 < units.len() {
        value /= by;
        unit += 1;
    }
    format!("{value:.0}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_are_equal_distances() {
        let axis = Axis::new((1.0, 10_000.0), (300.0, 100.0));
        assert_eq!(
            [1.0, 10.0, 100.0, 10_000.0].map(|value| axis.place(value).round()),
            [300.0, 250.0, 200.0, 100.0]
        );
    }

    #[test]
    fn an_axis_holds_all_values_and_is_marked_within() {
        let range = decades([230.0, 45_000.0].into_iter());
        assert_eq!(range, (100.0, 100_000.0));
        let marks: Vec<_> = marks(range).map(decimal).collect();
        assert_eq!(marks, ["100", "200", "500", "1 k", "2 k", "5 k", "10 k", "20 k", "50 k", "100 k"]);
        assert_eq!([512.0, 4096.0, 1_048_576.0].map(binary), ["512", "4 Ki", "1 Mi"]);
    }
}
