//! Tables that fit: columns shrink to a least width, then whole columns are left out in a set order.

use super::style::{Line, Tone, cut, cut_name, width};

/// Where a cell's text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub(super) title: &'static str,
    /// Where its text stands.
    pub(super) align: Align,
    /// It is never narrower.
    pub(super) least: usize,
    /// It is never wider.
    pub(super) most: usize,
    /// Columns with a greater number are left out first; 0 never is.
    pub(super) leave_out: u8,
}

impl Column {
    /// A column of names.
    pub(super) const fn name(title: &'static str, least: usize, most: usize, leave_out: u8) -> Self {
        Self { title, align: Align::Left, least, most, leave_out }
    }

    /// A column of numbers, `columns` wide.
    pub(super) const fn number(title: &'static str, columns: usize, leave_out: u8) -> Self {
        Self { title, align: Align::Right, least: columns, most: columns, leave_out }
    }
}

/// Columns between two columns.
const GAP: usize = 2;

/// The widths that fit, by column; `None` for one that is left out.
#[derive(Clone, Debug)]
pub(super) struct Layout<'a> {
    columns: &'a [Column],
    widths: Vec<Option<usize>>,
}

impl<'a> Layout<'a> {
    /// Lays out for the cells that will be shown.
    pub(super) fn for_rows(columns: &'a [Column], rows: &[Vec<String>], available: usize) -> Self {
        let widest = |index: usize| {
            let cells = rows.iter().map(|row| width(&row[index])).max().unwrap_or(0);
            cells.max(width(columns[index].title))
        };
        let wanted: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| widest(index).min(column.most).max(column.least))
            .collect();
        Self::fit(columns, &wanted, available)
    }

    /// Lays out for cells that are not known yet: each column as wide as it may become, so that widths stay.
    pub(super) fn for_stream(columns: &'a [Column], available: usize) -> Self {
        let wanted: Vec<usize> = columns.iter().map(|column| column.most).collect();
        Self::fit(columns, &wanted, available)
    }

    fn fit(columns: &'a [Column], wanted: &[usize], available: usize) -> Self {
        let mut shown: Vec<bool> = vec![true; columns.len()];
        loop {
            let least: Vec<Option<usize>> = (0..columns.len())
                .map(|index| shown[index].then(|| columns[index].least.min(wanted[index])))
                .collect();
            let last = (0..columns.len())
                .filter(|index| shown[*index] && columns[*index].leave_out > 0)
                .max_by_key(|index| columns[*index].leave_out);
            match last {
                Some(index) if total(&least) > available => shown[index] = false,
                _ => return Self { columns, widths: widen(least, wanted, available) },
            }
        }
    }

    /// Whether a column is shown.
    pub(super) fn shows(&self, index: usize) -> bool {
        self.widths[index].is_some()
    }

    /// A column's width; 0 when it is not shown.
    pub(super) fn width_of(&self, index: usize) -> usize {
        self.widths[index].unwrap_or(0)
    }

    /// The headings.
    pub(super) fn heading(&self) -> Line {
        let titles: Vec<String> = self.columns.iter().map(|column| column.title.to_owned()).collect();
        Line::of(Tone::Faint, self.cells(&titles))
    }

    /// One row; the first column stands out.
    pub(super) fn row(&self, cells: &[String]) -> Line {
        let text = self.cells(cells);
        let first = self.widths.first().copied().flatten().unwrap_or(0);
        let name = cells.first().map_or_else(String::new, |name| shorten(name, Align::Left, first));
        match text.strip_prefix(name.as_str()) {
            Some(rest) if self.columns[0].align == Align::Left => {
                let mut line = Line::of(Tone::Strong, name);
                line.push(Tone::Plain, rest);
                line
            }
            _ => Line::of(Tone::Plain, text),
        }
    }

    fn cells(&self, cells: &[String]) -> String {
        let mut text = String::new();
        for ((cell, column), room) in cells.iter().zip(self.columns).zip(&self.widths) {
            let Some(room) = *room else { continue };
            let cell = shorten(cell, column.align, room);
            let padding = " ".repeat(room - width(&cell));
            if !text.is_empty() {
                text.push_str(&" ".repeat(GAP));
            }
            match column.align {
                Align::Left => text.extend([cell, padding]),
                Align::Right => text.extend([padding, cell]),
            }
        }
        text
    }
}

fn shorten(cell: &str, align: Align, room: usize) -> String {
    match align {
        Align::Left => cut_name(cell, room),
        Align::Right => cut(cell, room),
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

/// Gives the room that is left to the columns that want more, those before first.
fn widen(mut widths: Vec<Option<usize>>, wanted: &[usize], available: usize) -> Vec<Option<usize>> {
    let mut spare = available.saturating_sub(total(&widths));
    for (width, wanted) in widths.iter_mut().zip(wanted) {
        if let Some(width) = width {
            let more = (wanted - *width).min(spare);
            *width += more;
            spare -= more;
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::{Column, Layout, total};

    const COLUMNS: [Column; 4] = [
        Column::name("NAME", 6, 20, 0),
        Column::name("NETWORK", 7, 12, 2),
        Column::number("SENT", 8, 0),
        Column::number("PACKETS", 7, 1),
    ];

    fn rows() -> Vec<Vec<String>> {
        vec![["a-long-name-of-thirty-characters", "back", "12.3 MiB", "9,412"].map(str::to_owned).to_vec()]
    }

    fn check(available: usize, expected: &str) {
        let rows = rows();
        let layout = Layout::for_rows(&COLUMNS, &rows, available);
        let text = layout.cells(&rows[0]);
        assert_eq!(text, expected);
        assert!(total(&layout.widths) <= available);
    }

    #[test]
    fn a_table_shrinks_names_first_then_leaves_columns_out_in_their_order() {
        check(80, "a-long-nam…haracters  back     12.3 MiB    9,412");
        check(40, "a-long…cters  back     12.3 MiB    9,412");
        check(33, "a-long-…acters  12.3 MiB    9,412");
        check(20, "a-lon…ters  12.3 MiB");
    }

    #[test]
    fn a_stream_has_the_same_widths_whatever_comes() {
        let layout = Layout::for_stream(&COLUMNS, 60);
        let [short, long] = ["x", "a-very-long-name-indeed-it-is"]
            .map(|name| layout.cells(&[name, "n", "1 B", "1"].map(str::to_owned)));
        assert_eq!(short.chars().count(), long.chars().count());
    }
}
