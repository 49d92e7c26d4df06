//! Sizes and times as people write them.

use std::time::Duration;

/// The longest time between two of a rate: a year.
const SLOWEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parses `4096`, `64K`, `64KiB`, `1M`, `2GiB`, `0x1000`: powers of 1024.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("\"{text}\" is not a size; write bytes, or a number with K, M, G or T (64K, 1MiB)");
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map_err(|_| bad());
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let lower = unit.trim().to_ascii_lowercase();
    let shift = match lower.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(bad()),
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("\"{text}\" is more bytes than a 64-bit number holds"))
}

/// Parses `500ms`, `2s`, `1m`, `250us`, `1.5` (seconds).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a time; write a number with us, ms, s or m (500ms, 2s)");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| bad())?;
    let seconds = match unit.trim() {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(bad()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| bad())
}

/// Parses how many a second, `10` or `0.5`: the time from one to the next.
pub fn parse_rate(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is not a rate; write how many a second, more than 0 (10, 0.5)");
    let number: f64 = text.parse().map_err(|_| bad())?;
    if number.is_nan() || number <= 0.0 {
        return Err(bad());
    }
    Duration::try_from_secs_f64(1.0 / number)
        .ok()
        .filter(|pause| *pause <= SLOWEST)
        .ok_or_else(|| format!("\"{text}\" is less than one a year"))
}

/// A time with three significant figures and its unit: `870 ns`, `12.3 us`, `4.56 ms`, `1.20 s`.
pub fn show_nanos(nanos: u64) -> String {
    let value = nanos as f64;
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (value / 1e3, "us"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    match value {
        v if v < 10.0 => format!("{v:.2} {unit}"),
        v if v < 100.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
