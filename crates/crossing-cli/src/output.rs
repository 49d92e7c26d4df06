//! Standard output and input: exact bytes, hexadecimal, JSON.

use crate::args::Shape;
use crate::exit::Failure;
use serde::Serialize;
use std::ffi::OsStr;
use std::io::{self, Read, Write};

/// Writes `bytes` to standard output and flushes.
pub fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|cause| Failure::output(&cause))
}

/// Writes one line.
pub fn write_line(line: &str) -> Result<(), Failure> {
    write_bytes(format!("{line}\n").as_bytes())
}

/// Writes `value` as one line of JSON.
pub fn write_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(Failure::failed)?;
    write_line(&text)
}

/// The bytes of `data`, or all of standard input for `-` and for nothing.
pub fn data_or_stdin(data: Option<&OsStr>) -> Result<Vec<u8>, Failure> {
    match data {
        Some(data) if data != "-" => Ok(data.as_encoded_bytes().to_vec()),
        _ => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map_err(|cause| Failure::input(&cause))?;
            Ok(bytes)
        }
    }
}

/// A piece of data as JSON: text where it is UTF-8, hexadecimal always.
#[derive(Debug, Serialize)]
pub struct DataJson {
    /// Length in bytes.
    pub len: usize,
    /// Where the message came from or its priority, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Who sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The bytes as text; null when they are not UTF-8.
    pub data: Option<String>,
    /// The bytes as hexadecimal.
    pub hex: String,
}

impl DataJson {
    /// Of these bytes.
    pub fn new(bytes: &[u8], priority: Option<u32>, peer: Option<String>) -> Self {
        let data = std::str::from_utf8(bytes).ok().map(str::to_owned);
        Self { len: bytes.len(), priority, peer, data, hex: hex(bytes) }
    }
}

/// Lower-case hexadecimal without separators.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Rows of 16 bytes: offset, hexadecimal, printable characters.
pub fn hex_dump(bytes: &[u8], base: u64) -> String {
    let mut text = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let pairs: Vec<String> = chunk.iter().map(|byte| hex(&[*byte])).collect();
        let shown: String = chunk
            .iter()
            .map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' })
            .collect();
        text.push_str(&format!("{:08x}  {:<47}  {shown}\n", base + row as u64 * 16, pairs.join(" ")));
    }
    text
}

/// Prints a message in the shape asked for; `newline` separates messages in the plain form.
pub fn write_message(
    bytes: &[u8],
    shape: Shape,
    newline: bool,
    priority: Option<u32>,
    peer: Option<String>,
) -> Result<(), Failure> {
    if shape.json {
        return write_json(&DataJson::new(bytes, priority, peer));
    }
    if shape.hex {
        return write_line(&hex(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len() + 1);
    out.extend_from_slice(bytes);
    if newline {
        out.push(b'\n');
    }
    write_bytes(&out)
}

/// Pads the cells of each column to its widest; the last column is left as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.push_str(&" ".repeat(widths[column] - cell.chars().count() + 2));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
