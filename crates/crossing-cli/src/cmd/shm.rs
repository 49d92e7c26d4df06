//! `crossing shm create | write | read`.

use super::target;
use crate::args::{AccessArg, ShmCreateArgs, ShmReadArgs, ShmWriteArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{DataJson, data_or_stdin, hex_dump, write_bytes, write_json, write_line};
use crossing::Access;
use crossing::shm::Segment;
use std::time::Duration;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

impl From<AccessArg> for Access {
    fn from(access: AccessArg) -> Self {
        match access {
            AccessArg::Private => Self::Private,
            AccessArg::Group => Self::Group,
            AccessArg::World => Self::World,
        }
    }
}

/// `crossing shm create`.
pub fn create(args: &ShmCreateArgs) -> Outcome {
    let target = target::create(args)?;
    if args.hold {
        write_line(&format!(
            "{} is held by pid {}; end this process to remove it",
            args.name,
            std::process::id()
        ))?;
        // The end of standard input ends the hold in a tidy way; Ctrl-C leaves the name stale, to be reclaimed.
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if ended.is_err() {
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
    drop(target);
    Ok(Exit::Success)
}

/// `crossing shm write`.
pub fn write(args: &ShmWriteArgs) -> Outcome {
    let target = target::open(&args.name, false)?;
    let mut data = data_or_stdin(args.data.as_deref())?;
    if args.cstr {
        data.push(0);
    }
    check_range(&args.name, "write", args.offset, data.len() as u64, target.len() as u64)?;
    target.write_bytes(place(args.offset), &data)?;
    Ok(Exit::Success)
}

/// An offset that is too large for this machine passes every end.
fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn check_range(name: &str, what: &str, offset: u64, len: u64, size: u64) -> Result<(), Failure> {
    if offset.checked_add(len).is_some_and(|end| end <= size) {
        return Ok(());
    }
    let left = size.saturating_sub(offset);
    Err(Failure::failed(format!(
        "cannot {what} \"{name}\": {len} bytes at offset {offset} pass the end of its {size} bytes; {what} at most {left} \
         there"
    )))
}

/// `crossing shm read`.
pub fn read(args: &ShmReadArgs) -> Outcome {
    let target = target::open(&args.name, true)?;
    let size = target.len() as u64;
    if args.cstr {
        check_range(&args.name, "read", args.offset, 1, size)?;
        let text = read_to_zero(&target, args.offset)?;
        match (args.shape.json, args.shape.hex) {
            (true, _) => write_json(&DataJson::new(&text, None, None))?,
            (_, true) => write_bytes(hex_dump(&text, args.offset).as_bytes())?,
            _ => write_bytes(&[&text[..], b"\n"].concat())?,
        }
        return Ok(Exit::Success);
    }
    let len = args.len.unwrap_or(size.saturating_sub(args.offset));
    check_range(&args.name, "read", args.offset, len, size)?;
    if args.shape.json {
        write_json(&DataJson::new(&read_all(&target, args.offset, len)?, None, None))?;
        return Ok(Exit::Success);
    }
    let mut done = 0;
    while done < len {
        let piece = (len - done).min(PIECE as u64);
        let at = args.offset + done;
        let bytes = read_all(&target, at, piece)?;
        if args.shape.hex {
            write_bytes(hex_dump(&bytes, at).as_bytes())?
        } else {
            write_bytes(&bytes)?
        }
        done += piece;
    }
    Ok(Exit::Success)
}

fn read_all(target: &Segment, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
    let len =
        usize::try_from(len).map_err(|_| Failure::failed("more bytes than this machine can address"))?;
    let mut bytes = vec![0; len];
    target.read_bytes(place(offset), &mut bytes)?;
    Ok(bytes)
}

/// The bytes up to the first zero, or to the end if there is none.
fn read_to_zero(target: &Segment, offset: u64) -> Result<Vec<u8>, Failure> {
    let size = target.len() as u64;
    let mut text = Vec::new();
    let mut at = offset;
    while at < size {
        let piece = read_all(target, at, (size - at).min(4096))?;
        if let Some(end) = piece.iter().position(|byte| *byte == 0) {
            text.extend_from_slice(&piece[..end]);
            break;
        }
        at += piece.len() as u64;
        text.extend_from_slice(&piece);
    }
    Ok(text)
}
