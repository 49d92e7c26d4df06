use super::*;

#[test]
fn several_in_a_row_are_a_flow_unless_there_is_a_wait_between_them() {
    let mut pace = Pace::default();
    for _ in 0..1000 {
        pace.try_waiting();
        (1..STREAK).for_each(|_| pace.found());
        assert!(!pace.flows() && !pace.rest());
    }
    pace.found();
    assert!(pace.flows() && pace.rest());
}

#[test]
fn a_flow_rests_as_long_as_is_worth_it() {
    let flow = || Pace { rest: FIRST, ..Pace::default() };
    let mut pace = flow();
    (0..100).for_each(|_| pace.brought(1000, 1024));
    assert_eq!(pace.rest, *RESTS.start());
    (0..100).for_each(|_| pace.brought(ENOUGH, 1024));
    assert_eq!(pace.rest, *RESTS.start());
    (0..100).for_each(|_| pace.brought(3, 1024));
    assert_eq!(pace.rest, *RESTS.end());
    pace.brought(1, 1024);
    assert!(!pace.flows(), "not even the longest one brings more");
    // A quarter of a small ring is enough.
    let mut pace = flow();
    (0..100).for_each(|_| pace.brought(4, 16));
    assert_eq!(pace.rest, FIRST);
    let mut pace = flow();
    let mut looks = 0;
    while pace.flows() {
        pace.brought(0, 1024);
        looks += 1;
    }
    assert!(looks < 8, "who waits for ever looks at slots soon");
}

/// A flow whose windows take so long, by turns as they are asked for; how many of them were sent away.
fn windows(pace: &mut Pace, count: u32, time: impl Fn(bool) -> Duration) -> u32 {
    let mut now = Instant::now();
    pace.judge(now, true);
    let mut away = 0;
    for _ in 0..count {
        away += u32::from(pace.sends_away());
        now += time(pace.sends_away());
        pace.judge(now, true);
    }
    away
}

fn flowing() -> Pace {
    let mut pace = Pace::default();
    (0..STREAK).for_each(|_| pace.found());
    assert!(pace.flows());
    pace
}

#[test]
fn lines_are_sent_away_where_that_is_faster() {
    let time = |away| Duration::from_micros(if away { 30 } else { 100 });
    assert!(windows(&mut flowing(), 700, time) > 600);
    // Hardly faster is not worth it.
    let time = |away| Duration::from_micros(if away { 95 } else { 100 });
    assert!(windows(&mut flowing(), 700, time) < 40);
}

#[test]
fn what_changes_is_noticed() {
    let mut pace = flowing();
    windows(&mut pace, 100, |away| Duration::from_micros(if away { 30 } else { 100 }));
    let time = |away| Duration::from_micros(if away { 100 } else { 30 });
    windows(&mut pace, 2 * CHOSEN, time);
    assert!(windows(&mut pace, 700, time) < 40);
}

#[test]
fn lines_stay_where_others_read_them_and_without_a_flow() {
    let mut pace = flowing();
    let fast = |away| Duration::from_micros(if away { 30 } else { 100 });
    windows(&mut pace, 10, fast);
    assert!(pace.sends_away());
    pace.judge(Instant::now(), false);
    assert!(!pace.sends_away());
    windows(&mut pace, 10, fast);
    while pace.flows() {
        pace.brought(0, 1024);
    }
    assert!(!pace.flows() && !pace.sends_away());
    assert_eq!(windows(&mut pace, 100, fast), 0);
}

#[test]
fn an_interrupted_window_is_not_timed() {
    let mut pace = flowing();
    let begun = Instant::now();
    pace.judge(begun, true);
    (0..WINDOW - 1).for_each(|_| assert!(!pace.took()));
    pace.try_waiting();
    assert!(!pace.took());
    pace.judge(begun + Duration::from_secs(1), true);
    assert_eq!(pace.stage, Stage::Staying);
}

#[test]
fn only_who_rests_is_asked_to_judge() {
    let mut pace = flowing();
    (0..3 * WINDOW).for_each(|_| assert!(!pace.took()));
    pace.brought(ENOUGH, 1024);
    let asked = (0..3 * WINDOW).filter(|_| pace.took()).count();
    assert_eq!(asked, 1, "for the window in which it rested");
}
