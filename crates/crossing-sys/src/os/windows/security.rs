//! Who may use what this process makes: security descriptors written in SDDL, and the security identifiers of tokens.
//!
//! Source: "Security Descriptor String Format" and "ACE Strings" of the Windows SDK.
#![allow(unsafe_code)] // tokens, local memory of the security functions

use super::text::{from_wide, wide};
use crate::file::Access;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{GetLastError, HANDLE, LUID, LocalFree, SetLastError};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT, SetNamedSecurityInfoW};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorDacl,
    INHERIT_ONLY_ACE, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_INFORMATION_CLASS,
    TOKEN_PRIMARY_GROUP, TOKEN_QUERY, TOKEN_USER, TokenPrimaryGroup, TokenUser,
};
use windows_sys::Win32::System::SystemServices::ACCESS_ALLOWED_ACE_TYPE;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// A security descriptor, for as long as what is created with it needs it.
pub(crate) struct Descriptor {
    attributes: SECURITY_ATTRIBUTES,
}

impl Descriptor {
    /// What mirrors `access` on a file or kernel object: the user and SYSTEM; with `Group` the user's primary group too;
    /// with `World` everyone.
    pub(crate) fn for_access(access: Access) -> io::Result<Self> {
        Self::from_sddl(&sddl(access, "", "GA")?)
    }

    /// The same for a directory: strangers may look names up, only the user may change it, files in it inherit nothing
    /// but the user's and SYSTEM's rights.
    pub(crate) fn for_directory(access: Access) -> io::Result<Self> {
        Self::from_sddl(&sddl(access, "OICI", "GRGX")?)
    }

    pub(crate) fn from_sddl(text: &str) -> io::Result<Self> {
        let text = wide(text)?;
        let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
        // SAFETY: a string that ends in 0, and a place for the result.
        let done = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                ptr::null_mut(),
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        Ok(Self { attributes })
    }

    /// What the creating functions take; valid as long as this value.
    pub(crate) fn attributes(&self) -> *const SECURITY_ATTRIBUTES {
        &raw const self.attributes
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by the conversion, which says to free it so; freed once.
        unsafe { LocalFree(self.attributes.lpSecurityDescriptor) };
    }
}

/// Owner, no inherited entries, the user and SYSTEM with all rights, and `strangers` rights for those whom `access` adds.
fn sddl(access: Access, inherit: &str, strangers: &str) -> io::Result<String> {
    let user = current_user_sid()?;
    let mut text = format!("O:{user}D:P(A;{inherit};GA;;;{user})(A;{inherit};GA;;;SY)");
    match access {
        Access::Private => {}
        Access::Group => text.push_str(&format!("(A;;{strangers};;;{})", current_group_sid()?)),
        Access::World => text.push_str(&format!("(A;;{strangers};;;WD)")),
    }
    Ok(text)
}

/// The security identifier of the user on whose behalf this process runs, as text: `S-1-5-21-...`.
pub(crate) fn current_user_sid() -> io::Result<&'static str> {
    static SID: OnceLock<String> = OnceLock::new();
    kept(&SID, || sid_of_token(&current_token()?, TokenUser))
}

/// The security identifier of the group that owns what this process makes.
pub(crate) fn current_group_sid() -> io::Result<&'static str> {
    static SID: OnceLock<String> = OnceLock::new();
    kept(&SID, || sid_of_token(&current_token()?, TokenPrimaryGroup))
}

fn kept(
    place: &'static OnceLock<String>,
    make: impl FnOnce() -> io::Result<String>,
) -> io::Result<&'static str> {
    if let Some(text) = place.get() {
        return Ok(text);
    }
    let text = make()?;
    Ok(place.get_or_init(|| text))
}

fn current_token() -> io::Result<OwnedHandle> {
    // SAFETY: no arguments; the pseudo handle needs no closing.
    let process = unsafe { GetCurrentProcess() };
    token_of_process(process)
}

/// The token of a process that `process` may be asked for.
pub(crate) fn token_of_process(process: HANDLE) -> io::Result<OwnedHandle> {
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: a process handle of the caller, and a place for the result.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, owned by nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// The user ([`TokenUser`]) or primary group ([`TokenPrimaryGroup`]) of a token, as text.
pub(crate) fn sid_of_token(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> io::Result<String> {
    // 8-byte units: the structure begins with a pointer. A SID has at most 68 bytes.
    let mut buffer = [0_u64; 32];
    let mut len = 0;
    // SAFETY: an open token, a buffer with its length.
    let done = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            class,
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer) as u32,
            &raw mut len,
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    let sid = if class == TokenUser {
        // SAFETY: the call filled the buffer with this structure, and it is aligned for it.
        unsafe { (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid }
    } else {
        // SAFETY: as above.
        unsafe { (*buffer.as_ptr().cast::<TOKEN_PRIMARY_GROUP>()).PrimaryGroup }
    };
    sid_text(sid)
}

/// A security identifier as text.
fn sid_text(sid: PSID) -> io::Result<String> {
    let mut text: *mut u16 = ptr::null_mut();
    // SAFETY: a SID within a buffer that the caller keeps, and a place for the result.
    if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call made a string that ends in 0.
    let owned = unsafe { from_wide(text) };
    // SAFETY: made by the conversion, which says to free it so; freed once.
    unsafe { LocalFree(text.cast()) };
    Ok(owned)
}

/// What a security descriptor grants, as far as Crossing asks.
pub(crate) struct Grants {
    /// This user, the administrators or SYSTEM own it.
    pub(crate) owner_is_trusted: bool,
    /// Somebody else who may change what is in it.
    pub(crate) strangers_write: Option<String>,
    /// The access that its entries amount to.
    pub(crate) access: Access,
}

const EVERYONE: &str = "S-1-1-0";
const AUTHENTICATED_USERS: &str = "S-1-5-11";
/// SYSTEM, the administrators (who may do anything anyway), and the owner under two names.
const TRUSTED: [&str; 4] = ["S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"];
/// Adding and deleting entries, deleting it, changing its rights or owner, and the generic rights that hold these.
const CHANGING: u32 = 0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000 | 0x4000_0000 | 0x1000_0000;

/// What the file or directory behind `handle` (opened with READ_CONTROL) grants.
pub(crate) fn grants_of(handle: &impl AsRawHandle) -> io::Result<Grants> {
    let (mut owner, mut list): (PSID, *mut ACL) = (ptr::null_mut(), ptr::null_mut());
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // SAFETY: an open handle, and places for the results.
    let status = unsafe {
        GetSecurityInfo(
            handle.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &raw mut owner,
            ptr::null_mut(),
            &raw mut list,
            ptr::null_mut(),
            &raw mut descriptor,
        )
    };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status as i32));
    }
    let grants = read_grants(owner, list);
    // SAFETY: made by the call, which says to free it so; freed once, after the last use of what points into it.
    unsafe { LocalFree(descriptor) };
    grants
}

fn read_grants(owner: PSID, list: *const ACL) -> io::Result<Grants> {
    let (user, group) = (current_user_sid()?, current_group_sid()?);
    let trusted = |sid: &str| sid == user || TRUSTED.contains(&sid);
    let owner = sid_text(owner)?;
    let mut grants =
        Grants { owner_is_trusted: trusted(&owner), strangers_write: None, access: Access::Private };
    if list.is_null() {
        // No list at all: everybody may do anything.
        return Ok(Grants { strangers_write: Some("everybody".to_owned()), access: Access::World, ..grants });
    }
    for index in 0.. {
        let mut entry: *mut std::ffi::c_void = ptr::null_mut();
        // SAFETY: a valid list, and a place for the result; an index past its end is an error.
        if unsafe { GetAce(list, index, &raw mut entry) } == 0 {
            break;
        }
        // SAFETY: every entry begins with this header.
        let header = unsafe { entry.cast::<ACE_HEADER>().read() };
        if u32::from(header.AceType) != ACCESS_ALLOWED_ACE_TYPE
            || u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0
        {
            continue;
        }
        let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: an entry of this type has this structure.
        let mask = unsafe { (*entry).Mask };
        // SAFETY: the identifier begins here; only its place is taken.
        let sid = sid_text(unsafe { &raw mut (*entry).SidStart }.cast())?;
        if trusted(&sid) {
            continue;
        }
        if mask & CHANGING != 0 {
            grants.strangers_write = Some(sid.clone());
        }
        if sid == EVERYONE || sid == AUTHENTICATED_USERS {
            grants.access = Access::World;
        } else if sid == group && grants.access == Access::Private {
            grants.access = Access::Group;
        }
    }
    Ok(grants)
}

/// Replaces the rights of an existing directory by those of [`Descriptor::for_directory`].
pub(crate) fn set_for_directory(path: &std::path::Path, access: Access) -> io::Result<()> {
    let (name, descriptor) = (wide(path)?, Descriptor::for_directory(access)?);
    let (mut present, mut defaulted, mut list) = (0, 0, ptr::null_mut());
    let raw = descriptor.attributes.lpSecurityDescriptor;
    // SAFETY: a valid descriptor, and places for the results.
    if unsafe { GetSecurityDescriptorDacl(raw, &raw mut present, &raw mut list, &raw mut defaulted) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a string that ends in 0; the list lies within the descriptor, which lives through the call.
    let status = unsafe {
        SetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            list,
            ptr::null(),
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status as i32)) }
}

/// Turns on a privilege that this process's user has been given.
pub(crate) fn enable_privilege(name: &str) -> io::Result<()> {
    let name = wide(name)?;
    let mut wish = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES {
            Luid: LUID { LowPart: 0, HighPart: 0 },
            Attributes: SE_PRIVILEGE_ENABLED,
        }],
    };
    // SAFETY: a string that ends in 0, and a place for the result.
    if unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &raw mut wish.Privileges[0].Luid) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut token: HANDLE = ptr::null_mut();
    // SAFETY: no arguments; the pseudo handle needs no closing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: a process handle, and a place for the result.
    if unsafe { OpenProcessToken(process, TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, owned by nobody else.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // SAFETY: no arguments: the call below reports "not all assigned" through the last error although it succeeds.
    unsafe { SetLastError(0) };
    // SAFETY: an open token and the structure that the call takes.
    let done = unsafe {
        AdjustTokenPrivileges(token.as_raw_handle(), 0, &raw const wish, 0, ptr::null_mut(), ptr::null_mut())
    };
    // SAFETY: no arguments.
    match (done, unsafe { GetLastError() }) {
        (0, _) => Err(io::Error::last_os_error()),
        (_, 0) => Ok(()),
        _ => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "the user has not been given this privilege"))
        }
    }
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
