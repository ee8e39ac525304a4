//! The table of formats and their extensions. The first extension of an image format is used for storing files.

use super::{ImageKind, Kind, MOTION_JPEG};

use ImageKind::{
    Avif, Bmp, Gif, Heif, Ico, Jpeg, Jpeg2000, JpegXl, Png, Pnm, Qoi, Rare, Tga, Tiff, WebP,
};

/// Most frequent first, because a scan searches it for every frame.
const IMAGES: [(ImageKind, &[&str]); 19] = [
    (Jpeg, &["jpg", "jpeg", "jpe", "jfif", "jfi", "jif", "mpo"]),
    (Png, &["png", "apng"]),
    (WebP, &["webp"]),
    (Bmp, &["bmp", "dib"]),
    (Tiff, &["tif", "tiff"]),
    (Gif, &["gif"]),
    (Pnm, &["pnm", "ppm", "pgm", "pbm", "pam"]),
    (Avif, &["avif"]),
    (JpegXl, &["jxl"]),
    (Heif, &["heic", "heif", "hif"]),
    (Jpeg2000, &["jp2", "j2k", "j2c", "jpf", "jpx"]),
    (Tga, &["tga"]),
    (Qoi, &["qoi"]),
    (Ico, &["ico"]),
    (Rare("JPEG-LS"), &["jls"]),
    (Rare("DDS"), &["dds"]),
    (Rare("PCX"), &["pcx"]),
    (Rare("SGI"), &["sgi"]),
    (Rare("Photoshop"), &["psd"]),
];

const FILMS: [(&str, &[&str]); 22] = [
    ("MP4", &["mp4", "m4v", "f4v", "insv", "lrv", "360"]),
    ("QuickTime", &["mov", "qt"]),
    ("Matroska", &["mkv", "webm"]),
    ("AVI", &["avi", "divx"]),
    ("3GP", &["3gp", "3g2"]),
    ("Windows Media", &["wmv", "asf"]),
    (
        "MPEG transport stream",
        &["mts", "m2ts", "m2t", "tod", "trp", "tp"],
    ),
    ("MPEG program stream", &["mpg", "mpeg", "mpe", "vob", "vro"]),
    ("MPEG", &["m1v", "m2v"]),
    ("Flash", &["flv"]),
    ("Ogg", &["ogv", "ogm"]),
    ("RealMedia", &["rm", "rmvb"]),
    ("MXF", &["mxf"]),
    ("DV", &["dv", "dif"]),
    ("YUV4MPEG", &["y4m"]),
    (MOTION_JPEG, &["mjpeg", "mjpg"]),
    ("H.264", &["h264", "264", "avc"]),
    ("HEVC", &["h265", "265", "hevc"]),
    ("AV1", &["obu", "ivf"]),
    ("Dahua", &["dav"]),
    ("NUT", &["nut"]),
    ("Windows recording", &["wtv", "dvr-ms"]),
];

const CAMERA_RAW: [(&str, &[&str]); 26] = [
    ("Canon CR2", &["cr2"]),
    ("Canon CR3", &["cr3"]),
    ("Canon CRW", &["crw"]),
    ("Nikon NEF", &["nef"]),
    ("Nikon NRW", &["nrw"]),
    ("Sony ARW", &["arw"]),
    ("Sony SR2", &["sr2", "srf"]),
    ("Adobe DNG", &["dng"]),
    ("Fujifilm RAF", &["raf"]),
    ("Olympus ORF", &["orf"]),
    ("Panasonic RW2", &["rw2"]),
    ("Leica RWL", &["rwl"]),
    ("Pentax PEF", &["pef"]),
    ("Samsung SRW", &["srw"]),
    ("Sigma X3F", &["x3f"]),
    ("Minolta MRW", &["mrw"]),
    ("Hasselblad 3FR", &["3fr", "fff"]),
    ("Phase One IIQ", &["iiq"]),
    ("Epson ERF", &["erf"]),
    ("Kodak DCR", &["dcr"]),
    ("Kodak KDC", &["kdc"]),
    ("Mamiya MEF", &["mef"]),
    ("Leaf MOS", &["mos"]),
    ("GoPro GPR", &["gpr"]),
    ("Casio BAY", &["bay"]),
    ("RED R3D", &["r3d"]),
];

/// Files often found beside images and films, listed so that not every label file of a large data set is opened.
const OTHERS: [(Kind, &[&str]); 5] = [
    // Files that are being written or downloaded are incomplete.
    (
        Kind::Unknown,
        &["part", "partial", "crdownload", "download", "tmp"],
    ),
    (
        Kind::Text,
        &[
            "txt", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "md", "log", "ini", "html",
            "htm", "srt", "vtt", "py", "xmp",
        ],
    ),
    (
        Kind::Sound,
        &[
            "mp3", "wav", "flac", "m4a", "aac", "wma", "opus", "oga", "amr",
        ],
    ),
    (
        Kind::Document,
        &[
            "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "svg",
        ],
    ),
    (
        Kind::Archive,
        &["zip", "rar", "7z", "tar", "gz", "tgz", "bz2", "xz", "zst"],
    ),
];

pub(super) fn by_extension(extension: &str) -> Option<Kind> {
    let has = |known: &[&str]| known.iter().any(|one| extension.eq_ignore_ascii_case(one));
    let image = IMAGES.iter().find(|(_, known)| has(known));
    if let Some((image, _)) = image {
        return Some(Kind::Image(*image));
    }
    if let Some((film, _)) = FILMS.iter().find(|(_, known)| has(known)) {
        return Some(Kind::Film(film));
    }
    if let Some((raw, _)) = CAMERA_RAW.iter().find(|(_, known)| has(known)) {
        return Some(Kind::CameraRaw(raw));
    }
    let other = OTHERS.iter().find(|(_, known)| has(known));
    other.map(|(kind, _)| *kind)
}

pub(super) fn extension_of(image: ImageKind) -> Option<&'static str> {
    let row = IMAGES.iter().find(|(known, _)| *known == image);
    row.and_then(|(_, extensions)| extensions.first().copied())
}

/// The extensions in the table, and ambiguous ones whose content is often a film.
pub(super) fn media_extensions() -> Vec<&'static str> {
    let images = IMAGES.iter().flat_map(|(_, extensions)| extensions.iter());
    let films = FILMS.iter().flat_map(|(_, extensions)| extensions.iter());
    images
        .chain(films)
        .chain(["ts", "mod", "ps", "dat"].iter())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_extension_stands_twice() {
        let mut seen = HashSet::new();
        let all = IMAGES
            .iter()
            .flat_map(|(_, known)| known.iter())
            .chain(FILMS.iter().flat_map(|(_, known)| known.iter()))
            .chain(CAMERA_RAW.iter().flat_map(|(_, known)| known.iter()))
            .chain(OTHERS.iter().flat_map(|(_, known)| known.iter()));
        for extension in all {
            assert!(seen.insert(extension), "{extension}");
            assert_eq!(extension.to_ascii_lowercase(), **extension);
        }
    }
}
