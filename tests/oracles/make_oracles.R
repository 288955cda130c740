# R's answers to the questions that prefbench.statistics answers, on small data made here.
# Run in this folder:  Rscript make_oracles.R    (Debian: r-base-core r-cran-emmeans r-cran-sandwich r-cran-geepack
# r-cran-psych r-cran-coin r-cran-lme4 r-cran-jsonlite). Writes the .json files beside it; the tests read those.
suppressPackageStartupMessages({
  library(coin); library(emmeans); library(geepack); library(jsonlite); library(lme4); library(psych); library(sandwich)
})

packages <- c("coin", "emmeans", "geepack", "lme4", "psych", "sandwich")
versions <- c(list(R = as.character(getRversion())),
              setNames(lapply(packages, function(name) as.character(packageVersion(name))), packages))

write_oracle <- function(name, input, answer) {
  content <- list(versions = versions, input = input, answer = answer)
  writeLines(toJSON(content, auto_unbox = TRUE, digits = NA, na = "null"), paste0(name, ".json"))
}

# --- a 2x2 with prompts that differ, random slopes, two domains, three temperatures; `gaps` cells are lost ---
make_cells <- function(prompts, gaps, seed) {
  set.seed(seed)
  grid <- expand.grid(temperature = c(0.7, 1.0, 1.5), cell = 0:3, prompt = seq_len(prompts) - 1)
  base <- rnorm(prompts, -0.3, 1.6); first <- rnorm(prompts, 0.6, 0.8); second <- rnorm(prompts, -0.4, 0.8)
  both <- rnorm(prompts, 0.3, 0.5)
  tune <- grid$cell %in% c(1, 3); steer <- grid$cell %in% c(2, 3); place <- grid$prompt + 1
  logit <- base[place] + tune * first[place] + steer * second[place] + tune * steer * both[place] +
    0.2 * (grid$temperature - 1) + 0.5 * (grid$prompt %% 2)
  grid$trials <- sample(8:10, nrow(grid), replace = TRUE)
  grid$yes <- rbinom(nrow(grid), grid$trials, plogis(logit))
  grid$domain <- ifelse(grid$prompt %% 2 == 1, "ethical", "aesthetic")
  if (gaps > 0) grid <- grid[-sample(nrow(grid), gaps), ]
  grid
}

contrasts_2x2 <- list(finetuning = c(-1, 1, -1, 1) / 2, steering = c(-1, -1, 1, 1) / 2, interaction = c(1, -1, -1, 1),
                      finetuning_without = c(-1, 1, 0, 0), finetuning_with = c(0, 0, -1, 1))

of_contrasts <- function(estimates, covariance) {
  lapply(contrasts_2x2, function(w) list(estimate = sum(w * estimates), se = sqrt(drop(t(w) %*% covariance %*% w))))
}

factorial_oracle <- function(name, gaps, seed) {
  data <- make_cells(60, gaps, seed)
  data$rate <- data$yes / data$trials
  frame <- transform(data, cell = factor(cell), domain = factor(domain), temperature = factor(temperature),
                     block = factor(paste(prompt, temperature)), prompt = factor(prompt))
  # lm with a dummy for every block; CR1 = HC0 with G/(G-1)
  linear <- lm(rate ~ cell + block, frame)
  keep <- paste0("cell", 1:3)
  robust <- matrix(0, 4, 4)
  robust[2:4, 2:4] <- vcovCL(linear, cluster = frame$prompt, type = "HC0", cadjust = TRUE)[keep, keep]
  lpm <- of_contrasts(c(0, coef(linear)[keep]), robust)
  # binomial glm, one intercept a cell
  logistic <- glm(cbind(yes, trials - yes) ~ 0 + cell + domain + temperature, binomial, frame,
                  control = glm.control(epsilon = 1e-14, maxit = 100))
  cluster <- vcovCL(logistic, cluster = frame$prompt, type = "HC0", cadjust = TRUE)
  cells <- paste0("cell", 0:3)
  log_odds <- of_contrasts(coef(logistic)[cells], cluster[cells, cells])
  # g-computation over the rows: predicted rates of every row in every cell, Jacobian by the chain rule
  means <- numeric(4); jacobian <- matrix(0, 4, length(coef(logistic)))
  for (each in 0:3) {
    x <- model.matrix(~ 0 + cell + domain + temperature, transform(frame, cell = factor(each, levels = 0:3)))
    p <- plogis(drop(x %*% coef(logistic)))
    means[each + 1] <- mean(p); jacobian[each + 1, ] <- colMeans(x * p * (1 - p))
  }
  standardised <- of_contrasts(means, jacobian %*% cluster %*% t(jacobian))
  answer <- list(lpm = lpm, log_odds = log_odds, standardised = standardised, rates = means,
                 coefficients = unname(coef(logistic)), cr1_se = unname(sqrt(diag(cluster))))
  if (gaps == 0) {  # with unequal rows emmeans weighs domains x temperatures by products of their margins
    grid <- regrid(emmeans(logistic, ~ cell, vcov. = cluster, weights = "proportional", regrid = "response"))
    answer$emmeans <- of_contrasts(summary(grid)[[2]], vcov(grid))
    wide <- reshape(aggregate(rate ~ prompt + cell, frame, mean), idvar = "prompt", timevar = "cell", direction = "wide")
    paired <- as.matrix(wide[, paste0("rate.", 0:3)])
    answer$paired <- lapply(contrasts_2x2, function(w) {
      test <- t.test(drop(paired %*% w)); list(estimate = unname(test$estimate), low = test$conf.int[1],
                                               high = test$conf.int[2], p = test$p.value)
    })
    gee <- geeglm(yes / trials ~ 0 + cell + domain + temperature, binomial, frame, weights = trials,
                  id = as.integer(frame$prompt), corstr = "independence")
    answer$geepack <- list(coefficients = unname(coef(gee)), se = unname(summary(gee)$coefficients[, 2]))
  }
  columns <- c("prompt", "cell", "domain", "temperature", "yes", "trials")
  write_oracle(name, as.list(data[columns]), answer)
}
factorial_oracle("factorial_balanced", 0, 1)
factorial_oracle("factorial_gaps", 90, 2)

# --- intervals of one rate ---
counts <- list(c(0, 12), c(3, 10), c(41, 90), c(90, 90), c(1, 3000))
write_oracle("intervals", list(counts = counts, level = 0.95), list(
  wilson = lapply(counts, function(x) as.numeric(prop.test(x[1], x[2], correct = FALSE)$conf.int)),
  clopper_pearson = lapply(counts, function(x) as.numeric(binom.test(x[1], x[2])$conf.int))))

# --- McNemar ---
discordant <- list(c(3, 11), c(40, 22), c(7, 7), c(0, 5))
mcnemar_of <- function(x, correct) {
  as.numeric(mcnemar.test(matrix(c(20, x[2], x[1], 30), 2), correct = correct)$p.value)
}
write_oracle("mcnemar", list(discordant = discordant), list(
  exact = lapply(discordant, function(x) binom.test(x[1], sum(x))$p.value),
  # the mid-p value: half of the weight of the observed outcome in either tail
  midp = lapply(discordant, function(x) {
    few <- min(x); n <- sum(x); min(1, 2 * (pbinom(few, n, 0.5) - 0.5 * dbinom(few, n, 0.5)))
  }),
  chi2 = lapply(discordant, mcnemar_of, correct = FALSE),
  chi2_corrected = lapply(discordant, mcnemar_of, correct = TRUE)))

# --- paired differences ---
set.seed(3)
first <- rbinom(40, 10, 0.4) / 10; second <- pmin(1, pmax(0, first + round(rnorm(40, 0.08, 0.2), 1)))
test <- t.test(second, first, paired = TRUE)
both <- data.frame(value = c(first, second), side = factor(rep(c("a", "b"), each = 40)), prompt = factor(rep(1:40, 2)))
symmetry <- symmetry_test(value ~ side | prompt, both, distribution = "asymptotic")
write_oracle("paired", list(first = first, second = second), list(
  estimate = unname(test$estimate), low = test$conf.int[1], high = test$conf.int[2], p = test$p.value,
  sign_flip_asymptotic_p = as.numeric(coin::pvalue(symmetry))))

# --- intraclass correlation of answers to one prompt ---
set.seed(4)
answers <- matrix(rbinom(30 * 8, 1, plogis(rnorm(30, 0, 1.5))), 30)
icc <- suppressWarnings(ICC(answers, lmer = FALSE)$results)
write_oracle("icc", list(yes = rowSums(answers), readable = rep(8, 30)), list(icc1 = icc$ICC[1]))

# --- p adjusted ---
set.seed(5)
p <- c(runif(9)^2, 0.01, 0.01, 1)
write_oracle("corrections", list(p = p), list(holm = p.adjust(p, "holm"), bh = p.adjust(p, "BH")))

# --- temperature: joint test of three paired means (Hotelling through lm on differences) ---
set.seed(6)
heat <- matrix(rbinom(50 * 3, 10, plogis(rnorm(50) + rep(c(0, 0.1, 0.5), each = 50))) / 10, 50)
steps <- cbind(heat[, 2] - heat[, 1], heat[, 3] - heat[, 2])
hotelling <- anova(lm(steps ~ 1), test = "Hotelling-Lawley")
slopes <- drop(heat %*% (c(0.7, 1, 1.5) - mean(c(0.7, 1, 1.5))) / sum((c(0.7, 1, 1.5) - mean(c(0.7, 1, 1.5)))^2))
# three points bend if the second difference, per unit of temperature, is not zero
bend <- (heat[, 3] - heat[, 2]) / 0.5 - (heat[, 2] - heat[, 1]) / 0.3
write_oracle("temperature", list(rates = heat, temperatures = c(0.7, 1, 1.5)), list(
  slope = mean(slopes), slope_p = t.test(slopes)$p.value, change_f = hotelling[1, "approx F"],
  change_p = hotelling[1, "Pr(>F)"], bend_p = t.test(bend)$p.value))

# --- what is not the default: a random-intercept model on the balanced 2x2, for the page on statistics ---
data <- make_cells(60, 0, 1)
frame <- transform(data, tune = cell %in% c(1, 3), steer = cell %in% c(2, 3), domain = factor(domain))
mixed <- glmer(cbind(yes, trials - yes) ~ tune * steer + domain + factor(temperature) + (1 | prompt), data = frame,
               family = binomial)
write_oracle("mixed_model", list(data = "factorial_balanced"), list(
  interaction = unname(fixef(mixed)["tuneTRUE:steerTRUE"]),
  interaction_se = unname(sqrt(vcov(mixed)["tuneTRUE:steerTRUE", "tuneTRUE:steerTRUE"]))))
