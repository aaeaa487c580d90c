//! Reads a folder of captures named by TUNNELCHECK_CORPUS: `files.csv` with the columns `path` and `packets`.

use super::testing::drain;
use super::*;
use std::path::PathBuf;

/// Splits a line of CSV; quotes may stand around a field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

#[test]
fn every_capture_of_the_corpus_is_read_or_refused() {
    let Some(folder) = std::env::var_os("TUNNELCHECK_CORPUS").map(PathBuf::from) else {
        crate::skip::skipped("TUNNELCHECK_CORPUS names no folder of captures");
        return;
    };
    let list = std::fs::read_to_string(folder.join("files.csv")).unwrap();
    let mut lines = list.lines();
    let columns = fields(lines.next().unwrap());
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let (path, packets) = (column("path"), column("packets"));
    let (mut read, mut refused, mut different, mut silent) = (0, 0, 0, 0);
    for line in lines {
        let line = fields(line);
        let expected: usize = line[packets].parse().unwrap();
        match Files::open(&[folder.join(&line[path])]) {
            Ok(mut files) => {
                read += 1;
                let all = drain(&mut files);
                if all.frames.len() != expected {
                    different += 1;
                    let fewer = all.frames.len() < expected;
                    silent += usize::from(fewer && all.losses.inputs_cut.is_empty());
                    println!("{} frames, {expected} listed: {}", all.frames.len(), line[path]);
                }
                for cut in all.losses.inputs_cut {
                    println!("    {cut}");
                }
            }
            Err(error) => {
                refused += 1;
                println!("refused ({expected} listed): {error}");
            }
        }
    }
    println!("{read} read, {refused} refused, {different} with another count");
    assert_eq!(silent, 0, "a count below the listed one without a word");
}
