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
    let flow = || Pace { rest: FIRST, streak: 0, waits: 0 };
    let mut pace = flow();
    (0..100).for_each(|_| pace.brought(1000));
    assert_eq!(pace.rest, *RESTS.start());
    (0..100).for_each(|_| pace.brought(ENOUGH));
    assert_eq!(pace.rest, *RESTS.start());
    (0..100).for_each(|_| pace.brought(3));
    assert_eq!(pace.rest, *RESTS.end());
    pace.brought(1);
    assert!(!pace.flows(), "not even the longest one brings more");
    let mut pace = flow();
    let mut looks = 0;
    while pace.flows() {
        pace.brought(0);
        looks += 1;
    }
    assert!(looks < 8, "who waits for ever looks at slots soon");
}
