use super::*;
use crate::ErrorKind;
use crate::file::Access;
use crate::sysv::SemaphoreSet;

#[test]
fn limits_are_told_with_how_to_raise_them() {
    let text = std::fs::read_to_string("/proc/sys/kernel/sem").expect("the kernel's limits");
    let numbers: Vec<u64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let shown = [Limit::SetLen, Limit::Semaphores, Limit::Sets].map(|which| limit(which).now);
    assert_eq!(shown, [Some(numbers[0]), Some(numbers[1]), Some(numbers[3])]);
    // A set's semaphores are counted by 16 bits: a limit above that is none.
    let Some(most) = usize::try_from(numbers[0]).ok().filter(|most| *most < 65_535) else { return };
    let error =
        SemaphoreSet::create(Key::PRIVATE, &vec![0; most + 1], Access::Private).expect_err("too many");
    assert_eq!(error.kind(), ErrorKind::LimitReached, "{error}");
    let told = format!("raise the first number of `sysctl kernel.sem` (now {most})");
    assert!(error.to_string().contains(&told), "{error}");
}
