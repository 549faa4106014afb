// Run Mozilla's scanner on pages of this machine: `node scan.mjs <http port> <https port> <path>…` prints the score and
// the failed tests, a line of JSON for each path. The scanner's own command supports only standard ports and front pages.

import { createRequire } from "node:module"
import fs from "node:fs"
import path from "node:path"
import { pathToFileURL } from "node:url"

const home = path.dirname(createRequire(import.meta.url).resolve("@mdn/mdn-http-observatory/package.json"))
const part = (name) => import(pathToFileURL(path.join(home, "src", name)))
const preloaded = path.join(home, "conf", "hsts-preload.json")
if (!fs.existsSync(preloaded)) fs.writeFileSync(preloaded, "{}") // No host name on this machine is on browsers' HSTS preload lists.

const { retrieve } = await part("retriever/retriever.js")
const { ALL_TESTS } = await part("constants.js")
const { getScoreModifier } = await part("grader/grader.js")
const { MINIMUM_SCORE_FOR_EXTRA_CREDIT } = await part("grader/charts.js")

const [httpPort, httpsPort, ...paths] = process.argv.slice(2)
for (const path of paths) {
  const page = await retrieve("localhost", { httpPort, httpsPort, path })
  const results = ALL_TESTS.map((test) => test(page)).filter((result) => result.result)
  const points = results.map((result) => getScoreModifier(result.result))
  const lost = points.filter((each) => each < 0).reduce((sum, each) => sum + each, 100)
  const all = points.reduce((sum, each) => sum + each, 100)
  console.log(
    JSON.stringify({
      path,
      status: page.responses.auto?.status ?? null,
      score: lost >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? all : lost,
      failed: results.filter((result) => !result.pass).map((result) => result.result),
    })
  )
}
