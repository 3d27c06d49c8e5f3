/** Columns that the text takes in a terminal. */
export function unicodeWidth(str: string): number;
