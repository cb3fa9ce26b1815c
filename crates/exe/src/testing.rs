//! ELF files of a few sections, for tests of what finds addresses in them.

use crate::image::Image;
use crate::references::{Form, Purpose};
use crate::search;

/// The address of `.text`, which each file has, of 64 bytes.
pub(crate) const TEXT: u32 = 0x1000;

/// A file of sections without addresses, or with these: name, address, bytes.
pub(crate) fn elf(sections: &[(&str, Option<u32>, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0".to_vec();
    bytes.resize(64, 0);
    let (mut names, mut headers) = (vec![0], vec![0; 64]);
    let text = (".text", Some(TEXT), &[0x90; 64][..]);
    for (name, addr, content) in [&[text], sections, &[(".shstrtab", None, &[])]].concat() {
        let at = names.len();
        names.extend([name.as_bytes(), &[0]].concat());
        let is_names = name == ".shstrtab";
        let from = bytes.len();
        bytes.extend(if is_names { &names[..] } else { content });
        headers.extend([(at as u32).to_le_bytes(), 1_u32.to_le_bytes()].concat());
        let flags = if name == ".text" { 6 } else { 2 * u64::from(addr.is_some()) };
        let numbers = [flags, addr.unwrap_or(0).into(), from as u64, (bytes.len() - from) as u64, 0, 1, 0];
        headers.extend(numbers.map(u64::to_le_bytes).concat());
    }
    let count = (headers.len() / 64) as u16;
    let table = bytes.len() as u64;
    bytes.extend(headers);
    let mut head = |at: usize, number: &[u8]| bytes[at..at + number.len()].copy_from_slice(number);
    head(16, &3_u16.to_le_bytes());
    head(18, &62_u16.to_le_bytes());
    head(40, &table.to_le_bytes());
    head(58, &64_u16.to_le_bytes());
    head(60, &count.to_le_bytes());
    head(62, &(count - 1).to_le_bytes());
    bytes
}

/// The references in data: where each is in the section of this name, its form, its target and its base.
pub(crate) fn found(file: &[u8], section: &str) -> Vec<(usize, Form, u32, u32)> {
    let image = Image::parse(file).unwrap();
    let range = image.named(section.as_bytes()).unwrap().range.clone();
    let references = search::references(&image, Purpose::Keep).data.into_iter();
    let here = references.filter(|field| range.contains(&(field.at as usize)));
    here.map(|field| (field.at as usize - range.start, field.form, field.address.target, field.address.base))
        .collect()
}

/// The first address of a section.
pub(crate) fn addr(file: &[u8], section: &str) -> u32 {
    Image::parse(file).unwrap().named(section.as_bytes()).unwrap().addr
}
