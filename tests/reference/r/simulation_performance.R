# Performance measures of a simulation study and their Monte Carlo standard errors, by the formulas of rsimsum::simsum
# (Gasparini, J Open Source Softw 2018;3:739; the package itself is not in Debian) with the functions of base R.
source(file.path(commandArgs(trailingOnly = TRUE)[1], "tests/reference/r/common.R"))
d <- read.csv(file.path(repository, "tests/reference/data/simulated_estimates.csv"))
z <- qnorm(0.975)
for (cell in split(d, paste(d$endpoint, d$estimator, d$measure, sep = "."))) {
  name <- paste(cell$endpoint[1], cell$estimator[1], cell$measure[1], sep = ".")
  asked <- nrow(cell)
  own <- cell[!is.na(cell$estimate), ]
  n <- nrow(own)
  b <- own$estimate
  se <- own$std_err
  true <- own$truth[1]
  put <- function(stat, value, error) record(paste0(name, ".", stat), c(value, error), "formula of rsimsum::simsum", "estimates")
  share <- function(stat, hits, of = n) put(stat, mean(hits), sqrt(mean(hits) * (1 - mean(hits)) / of))

  bias <- mean(b) - true
  bias_error <- sqrt(sum((b - mean(b))^2) / (n * (n - 1)))
  empirical <- sd(b)
  empirical_error <- empirical / sqrt(2 * (n - 1))
  square <- (b - true)^2
  model <- sqrt(mean(se^2))
  model_error <- sqrt(var(se^2) / (4 * n * mean(se^2)))
  put("bias", bias, bias_error)
  put("empirical_se", empirical, empirical_error)
  put("mse", mean(square), sqrt(sum((square - mean(square))^2) / (n * (n - 1))))
  put("model_se", model, model_error)
  put("se_error_percent", 100 * (model / empirical - 1),
      100 * model / empirical * sqrt(model_error^2 / model^2 + empirical_error^2 / empirical^2))
  share("coverage", b - z * se <= true & true <= b + z * se)
  share("bias_eliminated_coverage", b - z * se <= mean(b) & mean(b) <= b + z * se)
  share("rejection", abs(b) >= z * se)
  failed <- 100 * (asked - n) / asked
  put("failed_percent", failed, sqrt(failed * (100 - failed) / asked))
  if (100 * bias_error / abs(true) <= 20) put("relative_bias_percent", 100 * bias / true, 100 * bias_error / abs(true))
}
write_values("simulation_performance", "survival")
