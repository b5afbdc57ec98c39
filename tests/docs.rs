//! What the documentation claims of itself.

/// The most lines that a task may take.
const MOST: [(&str, usize); 7] = [
    ("a protected JSON route", 3),
    ("a protected page, with the way to the log-in and back", 3),
    ("log-in", 3),
    ("log-out", 2),
    ("log-out everywhere", 2),
    ("a guard for a role", 3),
    ("a test as a signed-in user", 3),
];

#[test]
fn each_task_takes_the_lines_that_the_page_says_and_no_more_than_it_may() {
    let page = include_str!("../docs/lines.md");
    let (table, sections) = page.split_once("\n## ").expect("sections after the table");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let claimed: Vec<(&str, usize)> = rows
        .filter_map(|(task, lines)| Some((task, lines.trim_end_matches(" |").parse().ok()?)))
        .collect();
    let counted: Vec<(String, usize)> = sections
        .split("\n## ")
        .map(|section| {
            let task = section.lines().next().unwrap_or_default().replacen('A', "a", 1);
            let task = task.replacen('L', "l", 1);
            (task, section.lines().filter(|line| line.ends_with("// *")).count())
        })
        .collect();
    assert_eq!(counted.len(), MOST.len());
    for (((task, lines), (claimed, claimed_lines)), (named, most)) in
        counted.iter().zip(claimed).zip(MOST)
    {
        assert_eq!((task.as_str(), *lines), (claimed, claimed_lines));
        assert_eq!(task, named);
        assert!(*lines <= most, "{task} takes {lines} lines");
    }
}
