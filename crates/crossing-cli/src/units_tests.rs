use super::*;

#[test]
fn sizes_are_powers_of_1024() {
    for (text, bytes) in
        [("4096", 4096), ("64K", 65536), ("64k", 65536), ("1MiB", 1 << 20), ("2GB", 2 << 30), ("0x10", 16)]
    {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "K", "-1", "1X", "1.5K", "99999999999999999999", "99999999T", "0x"] {
        assert!(parse_size(text).is_err(), "{text} must be refused");
    }
}

#[test]
fn durations_take_their_unit() {
    for (text, millis) in [("500ms", 500), ("2s", 2000), ("2", 2000), ("1.5s", 1500), ("1m", 60_000)] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "ms", "-1s", "1y", "1e400s", "..s"] {
        assert!(parse_duration(text).is_err(), "{text} must be refused");
    }
}

#[test]
fn rates_are_the_time_from_one_to_the_next() {
    for (text, micros) in [("10", 100_000), ("0.5", 2_000_000), ("1e6", 1), ("inf", 0)] {
        assert_eq!(parse_rate(text), Ok(Duration::from_micros(micros)), "{text}");
    }
    for text in ["", "0", "-0", "-1", "nan", "often", "1e-300", "1e-9"] {
        assert!(parse_rate(text).is_err(), "{text} must be refused");
    }
}

#[test]
fn times_show_three_figures() {
    for (nanos, text) in
        [(870, "870 ns"), (12_345, "12.3 us"), (4_560_000, "4.56 ms"), (1_200_000_000, "1.20 s")]
    {
        assert_eq!(show_nanos(nanos), text);
    }
}
