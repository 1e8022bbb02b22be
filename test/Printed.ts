/**
 * What a text of documentation says that it prints.
 */

/**
 * The lines below a last `// prints`, as in `examples`; else the comments behind `console.log`, or on the lines below it
 * where they are too long for that.
 */
export const said = (code: string): ReadonlyArray<string> => {
  const [, below] = code.split("\n// prints\n")
  if (below !== undefined) return below.trimEnd().split("\n").map((line) => line.replace(/^\/\/ ?/, ""))
  const lines = code.split("\n")
  return lines.flatMap((line, at) => {
    const [, log, behind] = /^[^/]*(console\.log)(?:.*\/\/ (.*))?/i.exec(line) ?? []
    if (log === undefined) return []
    if (behind !== undefined) return [behind]
    const after = lines.slice(at + 1)
    const end = after.findIndex((next) => !next.trim().startsWith("// "))
    return after.slice(0, end === -1 ? after.length : end).map((next) => next.trim().slice(3))
  })
}
