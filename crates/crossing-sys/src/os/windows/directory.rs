//! CreateDirectoryW, MoveFileExW, deletion that frees the name at once, and the checks against squatters.
#![allow(unsafe_code)] // calls of the system with handles and out-pointers

use super::security::{Descriptor, Grants, grants_of};
use super::text::wide;
use crate::file::{Access, Handle};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_SHARING_VIOLATION, GENERIC_READ, GENERIC_WRITE,
    INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CreateDirectoryW, CreateFileW, DELETE, FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_DISPOSITION_FLAG_DELETE, FILE_DISPOSITION_FLAG_POSIX_SEMANTICS,
    FILE_DISPOSITION_INFO_EX, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_FLAGS_AND_ATTRIBUTES, FILE_ID_INFO, FILE_READ_ATTRIBUTES, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FileDispositionInfoEx, FileIdInfo, GetFileInformationByHandle,
    GetFileInformationByHandleEx, MoveFileExW, OPEN_ALWAYS, READ_CONTROL, SetFileInformationByHandle,
};

/// `Prices` and `prices` would be one file.
pub(crate) const CASE_SENSITIVE: bool = false;

/// Everybody may read, write, rename and delete what we have open: that is what the floors above build on.
pub(crate) const SHARE_ALL: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

pub(crate) fn default_root() -> PathBuf {
    let base = std::env::var_os("LOCALAPPDATA").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join("crossing")
}

pub(crate) fn make(path: &Path, access: Access) -> io::Result<()> {
    let (name, descriptor) = (wide(path)?, Descriptor::for_directory(access)?);
    // SAFETY: a string that ends in 0; the descriptor lives through the call.
    if unsafe { CreateDirectoryW(name.as_ptr(), descriptor.attributes()) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(ERROR_ALREADY_EXISTS as i32) {
        Ok(())
    } else if is_being_deleted(&error, path) {
        // It was removed, and somebody who lists it has it open for a moment: for the caller it is gone already.
        Err(io::ErrorKind::NotFound.into())
    } else {
        Err(error)
    }
}

/// Opens the thing that `path` names, itself and not what it may link to, with the right to look at it.
fn open_to_look(path: &Path, rights: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(rights)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)
}

fn information(handle: &impl AsRawHandle) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut found: BY_HANDLE_FILE_INFORMATION = unsafe { std::mem::zeroed() };
    // SAFETY: an open handle, and a place for the result.
    if unsafe { GetFileInformationByHandle(handle.as_raw_handle(), &raw mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(found)
}

/// What is wrong with using the directory, if anything is.
pub(crate) fn verify(path: &Path) -> io::Result<Option<String>> {
    let directory = match open_to_look(path, FILE_READ_ATTRIBUTES | READ_CONTROL) {
        // As in `make`.
        Err(error) if is_being_deleted(&error, path) => return Err(io::ErrorKind::NotFound.into()),
        opened => opened?,
    };
    let attributes = information(&directory)?.dwFileAttributes;
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        return Ok(Some("it is a link or mount point".to_owned()));
    }
    if attributes & FILE_ATTRIBUTE_DIRECTORY == 0 {
        return Ok(Some("it is not a directory".to_owned()));
    }
    let Grants { owner_is_trusted, strangers_write, .. } = grants_of(&directory)?;
    if !owner_is_trusted {
        return Ok(Some("another user owns it".to_owned()));
    }
    Ok(strangers_write.map(|who| format!("{who} may write in it")))
}

pub(crate) fn open_to(path: &Path, access: Access) -> io::Result<()> {
    let narrower = access_of(path)?;
    if narrower == Access::World || narrower == access {
        return Ok(());
    }
    super::security::set_for_directory(path, access)
}

/// CreateFileW with a security descriptor, never through a link, not inherited, shared with everybody.
pub(crate) fn open_file(
    path: &Path,
    rights: u32,
    disposition: u32,
    access: Access,
    flags: FILE_FLAGS_AND_ATTRIBUTES,
) -> io::Result<OwnedHandle> {
    let (name, descriptor) = (wide(path)?, Descriptor::for_access(access)?);
    // SAFETY: a string that ends in 0; the descriptor lives through the call.
    let handle = unsafe {
        CreateFileW(
            name.as_ptr(),
            rights,
            SHARE_ALL,
            descriptor.attributes(),
            disposition,
            flags | FILE_FLAG_OPEN_REPARSE_POINT,
            ptr::null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: opened just now, owned by nobody else.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    let attributes = information(&handle)?.dwFileAttributes;
    if attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT) != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(handle)
}

pub(crate) fn open_lock_file(path: &Path, access: Access) -> io::Result<Handle> {
    let opened = open_file(path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, access, 0);
    match opened {
        // Its last handle is about to close after it was deleted: for the caller it is gone already.
        Err(error) if is_being_deleted(&error, path) => Err(io::ErrorKind::NotFound.into()),
        opened => Ok(Handle(opened?)),
    }
}

/// Systems without deletion in the POSIX way refuse to open a deleted file until its last handle is closed.
pub(crate) fn is_being_deleted(error: &io::Error, path: &Path) -> bool {
    error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32)
        && matches!(open_to_look(path, 0), Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32))
}

/// The volume and the number of a file on it.
fn identity(handle: &impl AsRawHandle) -> io::Result<(u64, [u8; 16])> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut found: FILE_ID_INFO = unsafe { std::mem::zeroed() };
    // SAFETY: an open handle, and the structure that this class fills, with its length.
    let done = unsafe {
        GetFileInformationByHandleEx(
            handle.as_raw_handle(),
            FileIdInfo,
            (&raw mut found).cast(),
            size_of_val(&found) as u32,
        )
    };
    if done == 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok((found.VolumeSerialNumber, found.FileId.Identifier))
    }
}

pub(crate) fn names(path: &Path, handle: &Handle) -> io::Result<bool> {
    let (path_volume, path_number) = identity(&open_to_look(path, FILE_READ_ATTRIBUTES)?)?;
    let (volume, number) = identity(&handle.0)?;
    // A volume of 0 is not known: Wine forgets it of a handle whose file was renamed through another.
    let same_volume = path_volume == volume || path_volume == 0 || volume == 0;
    Ok(same_volume && path_number == number)
}

pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from)?, wide(to)?);
    // SAFETY: two strings that end in 0; without flags an existing target is an error.
    if unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

pub(crate) fn access_of(path: &Path) -> io::Result<Access> {
    Ok(grants_of(&open_to_look(path, READ_CONTROL)?)?.access)
}

/// Deletes a file so that its name is free at once, whoever has it open. What is mapped cannot be deleted, but renamed: it
/// goes to the trash, from where it is deleted later. So does everything on systems without deletion in the POSIX way.
pub(crate) fn remove(path: &Path, trash: &Path) -> io::Result<()> {
    let file = open_to_look(path, DELETE)?;
    let Err(refused) = delete(&file) else { return Ok(()) };
    drop(file);
    let moved = to_trash(path, trash);
    if moved.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        moved
    } else {
        moved.map_err(|_| refused)
    }
}

/// Who lists a directory excludes, in some versions of the system, those who remove it, and they him: each for a moment.
fn patiently<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..500 {
        match act() {
            Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION as i32) => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            done => return done,
        }
    }
    act()
}

pub(crate) fn entries(path: &Path) -> io::Result<std::fs::ReadDir> {
    match patiently(|| std::fs::read_dir(path)) {
        // As in `make`.
        Err(error) if is_being_deleted(&error, path) => Err(io::ErrorKind::NotFound.into()),
        entries => entries,
    }
}

/// So that its name is free at once, whoever has it open; later on systems without deletion in the POSIX way. One that is not
/// empty is not tried, so that nobody who lists it is in the way of it.
pub(crate) fn remove_empty(path: &Path) -> io::Result<()> {
    if entries(path)?.next().is_some() {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    patiently(|| {
        let directory = open_to_look(path, DELETE)?;
        match delete(&directory) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                drop(directory);
                std::fs::remove_dir(path)
            }
            deleted => deleted,
        }
    })
}

fn to_trash(path: &Path, trash: &Path) -> io::Result<()> {
    make(trash, Access::Private)?;
    let unique: String =
        super::process::random_identity()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let grave = trash.join(unique);
    rename_new(path, &grave)?;
    // Fails as long as it is mapped; the trash is emptied later.
    let _ = std::fs::remove_file(grave);
    let _ = std::fs::remove_dir(trash); // fails while something is left
    Ok(())
}

fn delete(file: &File) -> io::Result<()> {
    let wish = FILE_DISPOSITION_INFO_EX {
        Flags: FILE_DISPOSITION_FLAG_DELETE | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS,
    };
    // SAFETY: an open handle with the right to delete, and the structure that this class takes, with its length.
    let done = unsafe {
        SetFileInformationByHandle(
            file.as_raw_handle(),
            FileDispositionInfoEx,
            (&raw const wish).cast(),
            size_of_val(&wish) as u32,
        )
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Deletes what can be deleted by now.
pub(crate) fn empty_trash(trash: &Path) {
    let Ok(entries) = std::fs::read_dir(trash) else { return };
    for entry in entries.flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
    let _ = std::fs::remove_dir(trash); // fails while something is left
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
