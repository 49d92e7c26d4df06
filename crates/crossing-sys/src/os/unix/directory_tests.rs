use crate::ErrorKind;
use crate::directory;
use crate::file::Access;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

/// A directory for one test, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("crossing-squat-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_squatters_directory_is_refused_and_told() {
    let place = Place::new("directory");
    let path = place.0.join("names");
    let refused = |what: &str| {
        let error = directory::make(&path, Access::Private).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && error.advice().is_some(), "{text}");
    };
    std::fs::create_dir(&path).unwrap();
    directory::make(&path, Access::Private).expect("our own, private");
    for mode in [0o777, 0o770, 0o702] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        refused("others may write in it");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    // Only the administrator can give a directory to somebody else, to play the squatter.
    if crate::process::user_number() == 0 {
        chown(&path, Some(12_345), None).unwrap();
        refused("user 12345 owns it");
    }
    std::fs::remove_dir(&path).unwrap();
    let elsewhere = place.0.join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    refused("it is not a directory");
}
