use super::*;

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (1_709_164_800, "2024-02-29"),
        (4_102_444_800, "2100-01-01"),
    ] {
        assert_eq!(date(seconds), expected);
    }
    assert_eq!([span(119), span(7_200), span(172_800)], ["1 min", "2 h", "2 days"]);
}
