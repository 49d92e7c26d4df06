use super::*;

#[test]
fn waits_double_up_to_the_most_and_begin_again() {
    let [least, most] = [10, 100].map(Duration::from_millis);
    let mut backoff = Backoff::new(least, most, 5);
    for whole in [10, 20, 40, 80, 100, 100].map(Duration::from_millis) {
        let wait = backoff.next().unwrap();
        assert!(wait <= whole && wait >= whole / 2, "{wait:?} of {whole:?}");
    }
    backoff.reset();
    assert!(backoff.next().unwrap() <= least);
    let of_seed = |seed| Backoff::new(least, most, seed).take(5).collect::<Vec<_>>();
    assert_ne!(of_seed(2), of_seed(7));
}
