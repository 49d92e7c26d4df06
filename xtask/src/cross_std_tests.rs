use super::exact_version;

#[test]
fn the_package_of_the_same_compiler_is_chosen() {
    let listed = "  rust-src | 1.95.1+dfsg1-1 | http://deb.debian.org/debian sid/main amd64 Packages
  rust-src | 1.95.0+dfsg1-1~bpo13+1 | http://deb.debian.org/debian trixie-backports/main amd64 Packages
  rust-src | 1.85.0+dfsg3-1 | http://deb.debian.org/debian trixie/main amd64 Packages\n";
    assert_eq!(exact_version(listed, "1.95.0"), Some("1.95.0+dfsg1-1~bpo13+1"));
    assert_eq!(exact_version(listed, "1.85.0"), Some("1.85.0+dfsg3-1"));
    assert_eq!(exact_version(listed, "1.9"), None);
    assert_eq!(exact_version(listed, "1.95"), None);
}
