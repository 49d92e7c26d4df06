//! Rows of figures and ratios.

/// One comparison: what was measured, both sides' medians, the median of the ratios round by round, and the target.
pub struct Row {
    pub what: String,
    pub ours: String,
    pub theirs: String,
    pub ratio: f64,
    pub target: Target,
}

/// What the ratio should be.
pub enum Target {
    /// Ours costs at most this many times theirs.
    AtMost(f64),
    /// Ours does at least this many times theirs.
    AtLeast(f64),
    /// For orientation.
    None,
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn print(rows: &[Row]) {
    println!("| what | Crossing | peer | ratio | target | |");
    println!("|---|---|---|---|---|---|");
    for Row { what, ours, theirs, ratio, target } in rows {
        let (target, verdict) = match target {
            Target::AtMost(most) => (format!("<= {most}"), if ratio <= most { "reached" } else { "MISSED" }),
            Target::AtLeast(least) => {
                (format!(">= {least}"), if ratio >= least { "reached" } else { "MISSED" })
            }
            Target::None => (String::new(), ""),
        };
        println!("| {what} | {ours} | {theirs} | {ratio:.2} | {target} | {verdict} |");
    }
}

/// A time as people write it.
pub fn text(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        seconds => format!("{:.1} us", seconds * 1e6),
    }
}

/// Interleaved rounds of both sides, each first as often as the other; `text` writes a median.
pub fn compare_by(
    rounds: usize,
    what: String,
    target: Target,
    text: fn(f64) -> String,
    ours: &mut dyn FnMut() -> f64,
    theirs: &mut dyn FnMut() -> f64,
) -> Row {
    let (mut a, mut b, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..rounds {
        let (x, y) = if round % 2 == 0 {
            let x = ours();
            (x, theirs())
        } else {
            let y = theirs();
            (ours(), y)
        };
        a.push(x);
        b.push(y);
        ratios.push(x / y);
    }
    Row { what, ours: text(median(&mut a)), theirs: text(median(&mut b)), ratio: median(&mut ratios), target }
}
