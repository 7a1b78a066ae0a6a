# Shared by the reference scripts: reads the data, records values, writes them as JSON with the versions of R and packages.
# Base R only (no jsonlite), so that r-base and the packages compared with (survival, cmprsk, MatchIt, metafor, mets, survey) are all
# that is needed.
suppressPackageStartupMessages({
  library(survival)
})
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 2) stop("usage: Rscript <script>.R <repository> <folder for the values>")
repository <- arguments[1]
target <- arguments[2]

hcc <- read.csv(file.path(repository, "data/public/hcc_resection/hcc_resection.csv"))
hcc$high <- as.integer(hcc$CXCL17P > median(hcc$CXCL17P))
hcc$high_tumour <- as.integer(hcc$CXCL17T >= median(hcc$CXCL17T))
# recurrence before death, as far as months tell (RFS < OS, or alive); Recurrence is the composite RFS event
hcc$cause <- with(hcc, ifelse(Recurrence == 0, 0, ifelse(RFS < OS | Death == 0, 1, 2)))
simulated <- read.csv(file.path(repository, "tests/reference/data/simulated.csv"))
simulated$low <- as.integer(simulated$group == "low")
simulated$mid <- as.integer(simulated$group == "mid")
colon$lev <- as.integer(colon$rx == "Lev")
colon$lev5fu <- as.integer(colon$rx == "Lev+5FU")
deaths <- colon[colon$etype == 2, ]
recurrences <- colon[colon$etype == 1, ]

# Newton's method to the last digit: the defaults stop at a relative change of 1e-9 in the log-likelihood
strict <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 60)

.values <- list()
record <- function(id, value, what, data) {
  if (!is.null(.values[[id]])) stop("recorded twice: ", id)
  .values[[id]] <<- list(value = as.numeric(value), what = what, data = data)
}
.number <- function(x) ifelse(is.na(x), "null", ifelse(is.infinite(x), ifelse(x > 0, "1e999", "-1e999"), sprintf("%.17g", x)))
.text <- function(x) paste0('"', gsub('"', '\\\\"', x), '"')
write_values <- function(name, packages) {
  entry <- function(id) {
    v <- .values[[id]]
    numbers <- if (length(v$value) == 1) .number(v$value) else paste0("[", paste(.number(v$value), collapse = ", "), "]")
    paste0("    ", .text(id), ": {\"data\": ", .text(v$data), ", \"function\": ", .text(v$what), ", \"value\": ", numbers, "}")
  }
  versions <- paste0("    ", .text(packages), ": ", .text(sapply(packages, function(p) as.character(packageVersion(p)))))
  lines <- c("{", "  \"engine\": {", paste0("    \"R\": ", .text(R.version.string), ","),
             paste(versions, collapse = ",\n"), "  },", "  \"values\": {",
             paste(sapply(sort(names(.values), method = "radix"), entry), collapse = ",\n"), "  }", "}")
  writeLines(lines, file.path(target, paste0(name, ".json")))
}
