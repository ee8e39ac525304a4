//! The ZIP archive of one uncompressed file that is appended to a model. Readers find it from the end of the file.

/// The date of the file: 1 January 1980, the earliest in ZIP, so that equal labels give equal bytes.
const DATE: u16 = (1 << 5) | 1;
/// Version 2.0 of ZIP, the first with all features used here.
const VERSION: u16 = 20;
/// The flag for names in UTF-8.
const FLAGS: u16 = 1 << 11;
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Length of the last record without a comment.
const END_LEN: usize = 22;
const CENTRAL_LEN: usize = 46;
const LOCAL_LEN: usize = 30;

/// An archive of one file, to be appended after `before` bytes.
pub(super) fn archive(before: usize, name: &str, contents: &[u8]) -> Vec<u8> {
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::new();
    // The fields common to both headers of the file, from the flags to the lengths of the name and of an empty extra
    // field.
    let mut common = Vec::new();
    for half in [FLAGS, 0, 0, DATE] {
        common.extend(half.to_le_bytes());
    }
    let len = number(contents.len());
    for word in [crc32fast::hash(contents), len, len] {
        common.extend(word.to_le_bytes());
    }
    common.extend(name_len.to_le_bytes());
    common.extend(0_u16.to_le_bytes());

    bytes.extend(LOCAL.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(&common);
    bytes.extend(name.as_bytes());
    bytes.extend(contents);
    let directory = bytes.len();
    bytes.extend(CENTRAL.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(&common);
    // No comment, disk 0, no attributes.
    bytes.extend([0; 10]);
    bytes.extend(number(before).to_le_bytes());
    bytes.extend(name.as_bytes());
    let end = bytes.len();
    bytes.extend(END.to_le_bytes());
    for half in [0_u16, 0, 1, 1] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(number(end - directory).to_le_bytes());
    bytes.extend(number(before + directory).to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

/// The contents of the file `name` in the archive at the end of `bytes`. `None` if it is missing, compressed or
/// damaged.
pub(super) fn find<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let signature = END.to_le_bytes();
    let first = bytes.len().saturating_sub(END_LEN + usize::from(u16::MAX));
    let tail = bytes.get(first..)?;
    let end = first + tail.windows(4).rposition(|window| window == signature)?;
    // The record must be complete, including a comment of the declared length.
    if half(bytes, end + END_LEN - 2)? != bytes.len() - end - END_LEN {
        return None;
    }
    let mut at = word(bytes, end + 16)?;
    for _ in 0..half(bytes, end + 10)? {
        if bytes.get(at..at + 4)? != CENTRAL.to_le_bytes() {
            return None;
        }
        let [name_len, extra, comment] = [
            half(bytes, at + 28)?,
            half(bytes, at + 30)?,
            half(bytes, at + 32)?,
        ];
        let found = bytes.get(at + CENTRAL_LEN..at + CENTRAL_LEN + name_len)?;
        if found == name.as_bytes() {
            let (method, sum, len) = (
                half(bytes, at + 10)?,
                word(bytes, at + 16)?,
                word(bytes, at + 24)?,
            );
            let local = word(bytes, at + 42)?;
            let start = local + LOCAL_LEN + half(bytes, local + 26)? + half(bytes, local + 28)?;
            let contents = bytes.get(start..start.checked_add(len)?)?;
            let is_whole = method == 0 && crc32fast::hash(contents) as usize == sum;
            return is_whole.then_some(contents);
        }
        at += CENTRAL_LEN + name_len + extra + comment;
    }
    None
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    let found = bytes.get(at..at.checked_add(2)?)?;
    Some(usize::from(u16::from_le_bytes(found.try_into().ok()?)))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let found = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(found.try_into().ok()?)).ok()
}
