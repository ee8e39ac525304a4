//! Detects animated GIFs: those with a second image (`GIF89a` specification, 1990).

use std::io::{self, Read, Seek};

/// How many images a GIF contains, counted up to `most`; counting ends at invalid data.
pub(crate) fn images(file: &mut (impl Read + Seek), most: usize) -> usize {
    let mut count = 0;
    if let Err(error) = walk(file, most, &mut count) {
        log::trace!("a GIF ends after {count} images: {error}");
    }
    count
}

fn walk(file: &mut (impl Read + Seek), most: usize, count: &mut usize) -> io::Result<()> {
    let mut screen = [0; 13];
    file.read_exact(&mut screen)?;
    skip_palette(file, screen[10])?;
    while *count < most {
        match byte(file)? {
            // An extension: its label, then blocks.
            0x21 => {
                byte(file)?;
                skip_blocks(file)?;
            }
            0x2C => {
                *count += 1;
                let mut descriptor = [0; 9];
                file.read_exact(&mut descriptor)?;
                skip_palette(file, descriptor[8])?;
                // The minimum code size, then the image's data in blocks.
                byte(file)?;
                skip_blocks(file)?;
            }
            // Padding written by some programs.
            0 => {}
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn skip_palette(file: &mut (impl Read + Seek), flags: u8) -> io::Result<()> {
    if flags & 0x80 != 0 {
        // This keeps the buffer of a buffered file.
        file.seek_relative(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

fn skip_blocks(file: &mut (impl Read + Seek)) -> io::Result<()> {
    loop {
        match byte(file)? {
            0 => return Ok(()),
            length => file.seek_relative(i64::from(length))?,
        }
    }
}

fn byte(file: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}
