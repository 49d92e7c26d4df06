use super::{STEPS, Selection};

fn names(only: &[&str], skip: &[&str]) -> Result<Vec<&'static str>, String> {
    let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let selection = Selection { only: own(only), skip: own(skip), ..Selection::default() };
    Ok(selection.choose()?.into_iter().map(|step| step.name).collect())
}

#[test]
fn all_steps_by_default() {
    assert_eq!(names(&[], &[]).unwrap().len(), STEPS.len());
}

#[test]
fn only_and_skip_choose() {
    assert_eq!(names(&["loom", "tidy"], &[]).unwrap(), ["tidy", "loom"]);
    assert_eq!(names(&["loom", "tidy"], &["loom"]).unwrap(), ["tidy"]);
    assert_eq!(names(&[], &["tidy"]).unwrap()[0], "format");
}

#[test]
fn windows_has_a_flag() {
    let chosen = |selection: Selection| -> Vec<&str> {
        selection.choose().unwrap().into_iter().map(|step| step.name).collect()
    };
    assert_eq!(chosen(Selection { windows: true, ..Selection::default() }), ["windows"]);
    assert_eq!(chosen(Selection { windows: true, ..Selection::only("tidy") }), ["tidy", "windows"]);
}

#[test]
fn a_wrong_name_is_told() {
    let message = names(&[], &["tests", "looms"]).unwrap_err();
    assert!(message.starts_with("no step \"looms\"; there are: tidy, format"), "{message}");
}
